"""What the commands of a search do: files in, files out, and lines for the terminal."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from sttreid.catalogue.shelf import locate
from sttreid.cli.calibrating import calibration_beside, describe_calibration
from sttreid.cli.labels import label, read_labels, with_identities
from sttreid.cli.wording import columns, counted
from sttreid.config.evaluation import Rerank
from sttreid.config.track_format import TrackFormat
from sttreid.data.shared_numbers import warn_of_shared_numbers
from sttreid.inference import embed, images_of, load_model
from sttreid.runtime.documents import read_text
from sttreid.runtime.errors import InputError, shortened
from sttreid.runtime.files import check_apart, check_writable
from sttreid.search.answers import Answers, write_csv, write_json
from sttreid.search.approximate import build_index
from sttreid.search.calibration import calibration_path, read_calibration
from sttreid.search.gallery import Gallery, check_model
from sttreid.search.linking import link, score_identities, write_identities, write_mot
from sttreid.search.ranking import Outsider, Query, search
from sttreid.search.recordings import read_embedded_boxes, video_of
from sttreid.search.strips import join_files
from sttreid.search.videos import EmbedSettings, embed_videos, refer_to

RENDERED = (
    "probabilities are those of rendered people: label some of your own tracklets and calibrate again"
    " (docs/search.md)"
)
LINKED = 5_000  # tracklets of a gallery whose page shows who was where when
TOLD = 5  # queries whose first answers are printed


@dataclass(frozen=True)
class Queries:
    """What is searched for.

    Attributes:
        names: of tracklets of the gallery.
        file: with further names, one per line.
        everything: all tracklets.
        images: pictures of one person, or folders of crops of one.
        model: embeds them.
    """

    names: tuple[str, ...] = ()
    file: Path | None = None
    everything: bool = False
    images: tuple[Path, ...] = ()
    model: str | None = None


@dataclass(frozen=True)
class Method:
    """How a gallery is searched.

    Attributes:
        k: number of answers.
        cross_camera_only: the query's own camera is left out.
        rerank: the order is that of k-reciprocal re-ranking.
        approximate: an index finds the candidates.
    """

    k: int
    cross_camera_only: bool
    rerank: bool
    approximate: bool


def write_gallery(
    output: Path,
    model: str | None,
    recordings: tuple[Sequence[Path], Sequence[Path], Sequence[str]],
    settings: EmbedSettings,
    numbers: str,
    labels: Path | None,
    workers: int,
    detect: str | None = None,
) -> Iterator[str]:
    """Embed videos; finished ones stay in a hidden folder beside the output until all are."""
    if output.suffix != ".parquet":
        raise InputError(f"{output}: a gallery must end in .parquet, got {output.suffix!r}")
    if numbers not in ("own", "shared"):
        raise InputError(f"--numbers must be own or shared, got {numbers!r}")
    if labels is not None and numbers == "shared":
        raise InputError("--labels and --numbers shared both give labels: choose one")
    if detect is not None and numbers == "shared":
        raise InputError("--numbers shared needs tracks that share their numbers, not those of --detect")
    table = None if labels is None else read_labels(labels)
    check_writable(output)
    weights = locate(model)
    calibration = calibration_beside(weights)
    network = load_model(weights)
    videos, tracks, cameras = recordings
    parts = output.with_name(f".{output.name}.parts")
    gallery = embed_videos(
        network,
        videos,
        tracks,
        cameras,
        detect=detect,
        detected=output.with_suffix(".tracks"),
        settings=settings,
        workers=workers,
        parts=parts,
        name=weights.name,
        tell=_tell,
    )
    if calibration is not None and calibration.model == gallery.model.sha256:
        gallery = replace(gallery, calibration=calibration)
    elif calibration is not None:
        yield f"{calibration_path(weights)} is that of other weights: not used"
    if numbers == "shared":
        gallery = with_identities(gallery, gallery.tracklets["track"].tolist())
        by_camera = gallery.tracklets.groupby("camera")["track"].agg(set).to_dict()
        warning = warn_of_shared_numbers(by_camera, "leave out --numbers shared")
        if warning:
            yield f"warning: {warning}"
    if table is not None:
        gallery = label(gallery, table, labels)
    gallery.write(output)
    shutil.rmtree(parts, ignore_errors=True)
    counts = gallery.tracklets.groupby("camera", sort=False).size()
    yield from (f"{name}: {counted(count, 'tracklet')}" for name, count in counts.items())
    yield f"{output}: {counted(len(gallery), 'tracklet')} of {counted(len(videos), 'video')}"


def write_answers(
    path: Path, output: Path, queries: Queries, method: Method, calibration: Path | None
) -> Iterator[str]:
    """Search a gallery."""
    if method.approximate and method.rerank:  # before an index is built
        raise InputError("--approximate finds a part of the distances, and --rerank needs all: choose one")
    suffixes = (".html", ".json", ".csv")
    if output.suffix not in suffixes:
        raise InputError(f"{output}: a result must end in {', '.join(suffixes)}, got {output.suffix!r}")
    targets = _targets(output)
    check_apart(targets, (path, calibration, queries.file))
    gallery = _with_calibration(Gallery.read(path), calibration)
    wanted = _queries(queries, gallery)
    for target in targets:
        check_writable(target)
    found = search(
        wanted,
        gallery,
        method.k,
        cross_camera_only=method.cross_camera_only,
        rerank=Rerank(enabled=True, k1=20, k2=6, weight=0.3) if method.rerank else None,
        index=build_index(gallery.embeddings) if method.approximate else None,
    )
    _write(output, found, gallery)
    if len(found) <= TOLD:
        yield from (_first_answers(one, gallery) for one in found)
    correct = [one.first for one in found if one.first is not None]
    if correct:
        yield f"rank-1: {100 * np.mean(correct):.1f} % of {len(correct)} labelled queries with a match"
    if gallery.calibration is not None:
        strangers = sum(one.here is False for one in found)
        bound = f"no answer nearer than {gallery.calibration.threshold:.3f}"
        yield f"not here ({bound}): {strangers} of {counted(len(found), 'query')}"
        if gallery.calibration.rendered:
            yield RENDERED
    else:
        yield "no probabilities: this gallery has no calibration (sttreid calibrate --help)"
    yield f"{output}: {counted(len(found), 'query')} against {counted(len(gallery), 'tracklet')}"


def _targets(output: Path) -> list[Path]:
    """The files of a result; a page needs Jinja, which must not be missing after the search."""
    if output.suffix != ".html":
        return [output]
    import_module("sttreid.search.page")
    return [output, output.with_suffix(".json")]


def _first_answers(one: Answers, gallery: Gallery) -> str:
    """The three nearest answers to a query in a line."""
    name = gallery.names[one.query] if isinstance(one.query, int) else one.query
    told = [
        f"{gallery.names[each.row]} at distance {each.distance:.3f}"
        + ("" if each.probability is None else f" ({100 * each.probability:.0f} %)")
        for each in one.answers[:3]
    ]
    return f"{name}: {', '.join(told) or 'no tracklet may answer'}"


def write_links(
    path: Path,
    output: Path,
    threshold: float | None,
    calibration: Path | None,
    tracks: Sequence[Path],
    mot: Path | None,
    formats: TrackFormat,
) -> Iterator[str]:
    """Link a gallery."""
    if output.suffix != ".csv":
        raise InputError(f"{output}: identities must end in .csv, got {output.suffix!r}")
    if bool(tracks) != (mot is not None):
        raise InputError("--mot needs --tracks, and --tracks needs --mot")
    targets = [] if mot is None else [mot / f"{file.stem}.txt" for file in tracks]
    _check_targets(output, tracks, targets)
    gallery = _with_calibration(Gallery.read(path), calibration)
    videos = gallery.tracklets["video"]
    names = [video_of(file, videos.unique().tolist()) for file in tracks]
    boxes = [
        read_embedded_boxes(file, gallery.tracklets[videos == name], formats)
        for file, name in zip(tracks, names, strict=True)
    ]
    for target in (output, *targets):
        check_writable(target)
    identities = link(gallery, threshold)
    for target, name, table in zip(targets, names, boxes, strict=True):
        yield f"{target}: {write_mot(target, table, gallery, name, identities)} boxes"
    write_identities(output, gallery, identities)
    known = gallery.tracklets["identity"].notna().to_numpy()
    if known.any():
        scores = score_identities(
            gallery.tracklets["identity"][known].tolist(),
            identities[known].tolist(),
            gallery.tracklets["boxes"].to_numpy()[known],
        )
        yield (
            f"IDF1 {100 * scores.idf1:.1f} %, pairs: precision {100 * scores.precision:.1f} %,"
            f" recall {100 * scores.recall:.1f} %, F1 {100 * scores.f1:.1f} %"
        )
    found = counted(int(identities.max()), "identity")
    yield f"{output}: {found} in {counted(len(gallery), 'tracklet')}"


def _check_targets(output: Path, tracks: Sequence[Path], targets: Sequence[Path]) -> None:
    """Raise InputError if a file that is written is one of the tracks, or another one that is written."""
    written = {output.resolve()}
    for file, target in zip(tracks, targets, strict=True):
        if target.resolve() in written:
            raise InputError(f"{file}: each output needs a name of its own, got {target} twice")
        written.add(target.resolve())
    check_apart((output, *targets), tracks)


def describe_file(path: Path) -> Iterator[str]:
    """What a gallery (.parquet) or a calibration (.json) holds."""
    if path.suffix == ".parquet":
        gallery = Gallery.read(path)
        yield from columns({"gallery": path, "tracklets": len(gallery)})
        for (video, camera), rows in gallery.tracklets.groupby(["video", "camera"], sort=False):
            yield f"  {video} ({camera}): {len(rows)} tracklets, {rows['boxes'].sum()} boxes"
        yield from columns(vars(gallery.model))
        yield from columns({"labelled": int(gallery.tracklets["identity"].notna().sum())})
        yield from columns({"film strips": "yes" if gallery.strips else "no"})
        yield from describe_calibration(gallery.calibration)
    else:
        yield from describe_calibration(read_calibration(path))


def _queries(queries: Queries, gallery: Gallery) -> list[Query] | None:
    names = [*queries.names, *(_read_names(queries.file) if queries.file else [])]
    if not (names or queries.everything or queries.images):
        raise InputError("a search needs --query, --queries, --all or --images")
    if queries.everything and (names or queries.images):
        raise InputError("--all must not be combined with other queries")
    if queries.everything:
        return None
    found: list[Query] = [row for name in names for row in gallery.find(name)]
    if not queries.images:
        return found
    weights = locate(queries.model)
    network = load_model(weights)
    check_model(refer_to(network, weights.name), gallery.model, "the model of --images and the gallery")
    for path in queries.images:
        files = images_of(path) if path.is_dir() else [path]
        name = str(path).encode("utf-8", "backslashreplace").decode()  # a file's name may be no UTF-8
        found.append(Outsider(name, embed(network, files), join_files(files)))
    return found


def _write(output: Path, found: Sequence[Answers], gallery: Gallery) -> None:
    if output.suffix == ".csv":
        write_csv(output, found, gallery)
        return
    write_json(output.with_suffix(".json"), found, gallery, gallery.calibration)
    if output.suffix == ".html":
        from sttreid.search.page import write_page

        identities = link(gallery) if gallery.calibration and len(gallery) <= LINKED else None
        write_page(output, found, gallery, identities=identities, calibration=gallery.calibration)


def _tell(sentence: str) -> None:
    print(shortened(sentence), file=sys.stderr)


def _with_calibration(gallery: Gallery, path: Path | None) -> Gallery:
    return gallery if path is None else replace(gallery, calibration=read_calibration(path))


def _read_names(path: Path) -> list[str]:
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]

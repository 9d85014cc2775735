"""The parsers of the project for ``sttreid bench fuzz``: each with a tiny valid folder, and what reads it.

A reader does with the content what the command or stage does that reads the file: content that passes the
parser and breaks its user is a failure too. The tiny files are those of the tests.
"""

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import chdir, closing
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from PIL import Image

from bench.fuzz_mutations import encode_safetensors
from sttreid.analysis import comparison, metrics_files, results
from sttreid.analysis.result_files import read_queries, read_result
from sttreid.catalogue.card import Card, Score, Training, TrainingSet, Weights
from sttreid.catalogue.shelf import locate, published
from sttreid.cli import labels, models, revisions, searching, watch
from sttreid.cli.differences import as_json, as_markdown, as_text
from sttreid.cli.feature_files import Files, as_table, evaluate_files
from sttreid.config.datasets import Dataset, Validation
from sttreid.config.domain import load_benchmark, load_domain
from sttreid.config.experiments import check_study
from sttreid.config.params import build, load
from sttreid.config.variants import resolve
from sttreid.data.films import examine
from sttreid.data.folder_manifest import changed_parts, local_folder, read_manifest, scan
from sttreid.data.reading import read_dataset
from sttreid.data.registry import ReadSettings, check_datasets
from sttreid.data.views import tracklet_views
from sttreid.inference import embed, load_model, open_store
from sttreid.model import weights
from sttreid.report import render, standing
from sttreid.report import tables as pages
from sttreid.runtime.checkpoints import Checkpoints, pack, unpack
from sttreid.runtime.files import write_json, write_table, write_text
from sttreid.runtime.live import STATUS
from sttreid.search.answers import to_json
from sttreid.search.calibration import Calibration, read_calibration
from sttreid.search.gallery import Gallery
from sttreid.search.linking import link
from sttreid.search.page import html
from sttreid.search.ranking import search
from sttreid.simulate.identity_sheet import draw_identities
from sttreid.simulate.manifest import checksums, differences
from sttreid.simulate.truth import SCHEMA, by_track, read_truth, write_truth
from sttreid.stages import cross_domain
from sttreid.stages.inputs import history
from sttreid.stages.report import published_claims
from sttreid.tracklets.store import PLACES, WITH_ROLES, write_store
from tests import sections, sets
from tests.analysis import contents, outcomes
from tests.search.galleries import gallery_of
from tests.tiny import CLAIMS, parameters

Write = Callable[[Path], object]


@dataclass(frozen=True)
class Parser:
    """What is fuzzed.

    Attributes:
        name: in the table.
        write: writes a valid folder, or the whole tree around it.
        files: glob patterns of the files that are mutated.
        read: reads the folder as the project does; raises InputError for bad input.
    """

    name: str
    write: Write
    files: tuple[str, ...]
    read: Callable[[Path], object]


def _params(folder: Path) -> None:
    (folder / "domains").mkdir()
    write_text(folder / "params.yaml", yaml.safe_dump(_tiny(), sort_keys=False))


def _tiny() -> dict[str, Any]:
    return outcomes.tiny(visualise__variants=["vanilla", "spatial"])


def _read_params(folder: Path) -> object:
    params = load(folder / "params.yaml")
    check_datasets(params.datasets, folder / "params.yaml")
    return [resolve(params, name, params.seeds[0]) for name in params.ablation.variants]


def _study(folder: Path) -> None:
    write_text(folder / "params.yaml", yaml.safe_dump(parameters({}), sort_keys=False))
    study = {"variants": ["vanilla", "spatial"], "analysis": "claims", "trials": {}}
    content = {"study": study, "claims": CLAIMS, "seeds": [0, 1], "ablation": {"reference": None}}
    write_text(folder / "experiments" / "claims" / "params.yaml", yaml.safe_dump(content, sort_keys=False))


def _domains(folder: Path) -> None:
    for name in ("campus", "benchmark"):
        source = Path(__file__).parents[1] / "domains" / f"{name}.yaml"
        write_text(folder / f"{name}.yaml", source.read_text(encoding="utf-8"))


def _read_domains(folder: Path) -> object:
    return load_domain("campus", folder), load_benchmark(folder)


def _run(folder: Path) -> None:
    """Parameters, dvc.lock and results of a run, as in a checkout."""
    _params(folder)
    write_json(folder / "artifacts/configs/evaluation.json", {})
    write_json(folder / "metrics/cross_domain.json", {"params": "p"})
    groups = {
        "cross_domain": outcomes.default_results({0: 0.0}),
        "ablation": outcomes.variants_results({0: 0.0}),
    }
    files = {"artifacts/configs": "f" * 32}
    for group, found in groups.items():
        base = folder / "artifacts/results" / group
        write_json(base / "0.json", found.contents[0])
        write_table(base / "0.parquet", found.queries)
        for path in (base / "0.json", base / "0.parquet"):
            files[path.relative_to(folder).as_posix()] = hashlib.md5(path.read_bytes()).hexdigest()
    names = ["unreal", *contents.TARGETS]
    files |= {f"artifacts/tracklets/{name}": f"{n}" * 32 for n, name in enumerate(names)}
    stages = {
        f"stage{n}": {
            "cmd": "true",
            "deps": [{"path": "src/sttreid/a.py", "md5": "a" * 32, "size": 1}],
            "params": {"params.yaml": {"decode": _tiny()["decode"]}},
            "outs": [{"path": path, "md5": md5, "size": 1}],
        }
        for n, (path, md5) in enumerate(files.items())
    }
    lock = {"schema": "2.0", "stages": stages}
    write_text(folder / "dvc.lock", yaml.safe_dump(lock, sort_keys=False))


def _read_run(folder: Path) -> object:
    run = revisions._Revision(
        revisions.WORKSPACE, None, folder, lambda path: revisions._bytes(folder / path), _no_cache
    )
    return run.outcome()


def _no_cache(_: str) -> None:
    return None


def _read_compared(folder: Path) -> object:
    """The results of the run against others, whatever dvc.lock says of their bytes."""
    both = {}
    for group in ("cross_domain", "ablation"):
        base = folder / "artifacts/results" / group
        kind: Any = "sources" if group == "cross_domain" else "variants"
        queries = read_queries(base / "0.parquet", kind)
        both[group] = comparison.GroupResults([read_result(base / "0.json")], queries)
    found = outcomes.outcome("a", {0: 0.0}, {0: 0.0})
    changed = replace(found, cross_domain=both["cross_domain"], ablation=both["ablation"])
    compared = comparison.compare(changed, found, None, 0.02, force=True)
    return as_json(compared), as_markdown(compared), as_text(compared)


def _results(folder: Path) -> None:
    found = outcomes.default_results({0: 0.0})
    write_json(folder / "artifacts/results/cross_domain/0.json", found.contents[0])
    write_table(folder / "artifacts/results/cross_domain/0.parquet", found.queries)
    for name in (*contents.TARGETS, "unreal"):
        history = folder / f"artifacts/history/cross_domain/0/{name}.tsv"
        write_text(history, contents.history().to_csv(sep="\t", index=False))


def _read_results(folder: Path) -> object:
    with chdir(folder):
        scores = cross_domain.cross_domain(contents.TARGETS, [0], "unreal")
        tables = [history("cross_domain", 0, name) for name in (*contents.TARGETS, "unreal")]
    made = metrics_files.cross_domain_metrics(scores, "p")
    found = [pages.cross_domain_table(scores), pages.settings_table(scores), pages.difficulty_table(scores)]
    page = render.Page("a", [], [render.Section("b", found)])
    return render.markdown(page), made, [results.training_curve(table) for table in tables]


def _claims(folder: Path) -> None:
    source = Path(__file__).parents[1] / "metrics"
    for path in sorted(source.glob("*/**/claims.json"))[-1:]:
        for name in ("claims.json", "provenance.json"):
            write_text(folder / "claims/new" / name, path.with_name(name).read_text(encoding="utf-8"))


def _read_claims(folder: Path) -> object:
    verdicts = standing.study_verdicts(published_claims(folder), None)
    return render.markdown(render.Page("a", [], [render.Section("b", verdicts)]))


def _metrics(folder: Path) -> None:
    source = Path(__file__).parents[1] / "metrics"
    for name in ("ablation.json", "plots/ablation.tsv", "report.md"):
        write_text(folder / "metrics" / name, (source / name).read_text(encoding="utf-8"))


def _read_metrics(folder: Path) -> None:
    with chdir(folder):
        cross_domain._leave_out_what_is_stale(build(_tiny(), Path("params.yaml")))


@cache
def _network() -> Any:
    torch.manual_seed(0)
    return sections.small_network().eval()


def _weights(suffix: str, folder: Path) -> None:
    weights.save(_network(), sections.MODEL, folder / f"model{suffix}")


def _read_weights(suffix: str, folder: Path) -> object:
    return load_model(folder / f"model{suffix}"), models.describe_model(folder / f"model{suffix}")


def _checkpoint(folder: Path) -> None:
    weights.save(_network(), sections.MODEL, folder / "like.pt")
    state = {f"module.{name}": value.contiguous() for name, value in _network().state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, folder / "other.pt")
    (folder / "other.safetensors").write_bytes(encode_safetensors(state, {"a": "{}"}))


def _read_checkpoint(folder: Path) -> object:
    load_model(folder / "other.pt", like=folder / "like.pt")
    weights.load_backbone(_network().backbone, folder / "other.safetensors")
    return weights.start_from(_network(), folder / "like.pt")


def _features(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for side, count in (("query", 6), ("gallery", 12)):
        features = rng.standard_normal((count, 8)).astype(np.float32)
        columns = {"identity": np.arange(count) % 3, "camera": np.arange(count) // 3}
        np.save(folder / f"{side}.npy", features)
        np.savez(folder / f"{side}.npz", features=features, **columns, junk=np.zeros(count, bool))
        table = pd.DataFrame(columns).assign(junk=0)
        table.to_csv(folder / f"{side}.csv", index=False)
        table.to_parquet(folder / f"{side}.parquet", index=False)
    np.save(folder / "distances.npy", rng.random((6, 12)))


def _read_features(kind: str, folder: Path) -> object:
    def path(name: str, suffix: str) -> Path:
        return folder / f"{name}{suffix}"

    if kind == "distances":
        sides = {"query_labels": path("query", ".csv"), "gallery_labels": path("gallery", ".csv")}
        files = Files(distances=path("distances", ".npy"), **sides)
    elif kind == ".npz":
        files = Files(query=path("query", kind), gallery=path("gallery", kind))
    else:
        sides = {f"{side}_labels": path(side, kind) for side in ("query", "gallery")}
        files = Files(query=path("query", ".npy"), gallery=path("gallery", ".npy"), **sides)
    return as_table(evaluate_files(files, "market"))


def _index() -> pd.DataFrame:
    rows = [
        {"tracklet": n // 3, "identity": 7 + n // 6, "camera": n // 3 % 2, "frame": 1 + n % 3}
        | {"split": "train" if n < 12 else "test", "visibility": 1.0}
        for n in range(24)
    ]
    return pd.DataFrame(rows)


def _store(folder: Path) -> None:
    crops = [(row, np.full((8, 4, 3), row, np.uint8)) for row in range(24)]
    write_store(folder / "store", _index(), crops, 8, 4)
    text = "camera,identity,track,first,orientation\n"
    text += "".join(f"{n % 2},{7 + n // 2},1,1,{10 * n}.5\n" for n in range(8))
    write_text(folder / "tracks.csv", text)


def _read_store(folder: Path) -> object:
    store = open_store(folder / "store")
    for _, row in store.tracklets.iterrows():
        np.asarray(store.frames[row["start"] : row["start"] + row["length"]]).sum()
    return store.gallery(), tracklet_views(store, folder / "tracks.csv")


def _packed(folder: Path) -> None:
    pictures = [sets.IMAGES[".jpg"], sets.IMAGES[".png"]] * 12
    ends = np.cumsum([len(one) for one in pictures])
    rows = _index().assign(query=False, gallery=True, junk=False, shard=0)
    rows = rows.assign(bytes=[len(one) for one in pictures], offset=ends - [len(one) for one in pictures])
    schema = pa.schema([*WITH_ROLES, *PLACES])
    store = folder / "store"
    store.mkdir()
    table = pa.Table.from_pandas(rows, schema, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, store / "index.parquet")
    pq.write_table(pa.table({"name": [f"{n}.jpg" for n in range(24)]}), store / "names.parquet")
    (store / "pictures-000.bin").write_bytes(b"".join(pictures))
    write_json(store / "store.json", {"format": "sttreid-pictures/1", "height": 8, "width": 4})
    write_text(folder / "tracks.csv", "camera,identity,track,first,orientation\n0,7,1,1,2.5\n")


def _read_packed(folder: Path) -> object:
    return _read_store(folder)


def _calibration(dimensions: int = 8) -> Calibration:
    numbers = {"people": 4, "tracklets": 8, "same": 4, "different": 12, "intercept": 1.0, "slope": 9.0}
    numbers |= {"prior": 0.25, "rate": 0.02, "threshold": 0.4, "limit": 3.0}
    vectors = {"centre": (0.0,) * dimensions, "spread": (1.0,) * dimensions}
    return Calibration(model="ab" * 32, source="a", rendered=True, **numbers, **vectors)  # type: ignore[arg-type]


def _gallery(folder: Path) -> None:
    replace(gallery_of(strips=True), calibration=_calibration()).write(folder / "gallery.parquet")


def _read_gallery(folder: Path) -> object:
    gallery = Gallery.read(folder / "gallery.parquet")
    found = search(None, gallery, 3)
    said = list(searching.describe_file(folder / "gallery.parquet"))
    identities = link(gallery) if gallery.calibration else None
    page = html(found, gallery, identities, gallery.calibration)
    return said, json.dumps(to_json(found, gallery, gallery.calibration), allow_nan=False), page


def _read_calibration(folder: Path) -> object:
    calibration = read_calibration(folder / "model.calibration.json")
    gallery = replace(gallery_of(), calibration=calibration)
    return searching.describe_calibration(calibration), search(None, gallery, 3), link(gallery)


def _models(folder: Path) -> None:
    """A checkout with a published model: dvc.yaml, pointer, object and card."""
    (folder / "src/sttreid").mkdir(parents=True)
    weights.save(_network(), sections.MODEL, folder / "made.safetensors")
    content = (folder / "made.safetensors").read_bytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    target = folder / "data-store/files/md5" / md5[:2] / md5[2:]
    target.parent.mkdir(parents=True)
    (folder / "made.safetensors").replace(target)
    artifacts = {"m1": {"path": "models/m1.safetensors", "type": "model", "desc": "a"}}
    write_text(folder / "dvc.yaml", yaml.safe_dump({"stages": {}, "artifacts": artifacts}))
    outs = [{"md5": md5, "size": len(content), "hash": "md5", "path": "m1.safetensors"}]
    write_text(folder / "models/m1.safetensors.dvc", yaml.safe_dump({"outs": outs}))
    sha256 = hashlib.sha256(content).hexdigest()
    training = Training("a.pt", md5, (TrainingSet("campus", md5),), {"finetune": {"lr": 0.1}}, "c" * 40, md5)
    score = Score("campus", "embedded", "rank1", 0.5, 0.4, 0.6, 10, 5, True)
    card = Card(
        "m1", "a", "2026-01-01", Weights("m1.safetensors", sha256, len(content), 9), training, (score,)
    )
    card.write(folder / "models/m1.json")
    _calibration().write(folder / "models/m1.calibration.json")


def _read_models(folder: Path) -> object:
    published(folder)
    if (path := folder / "models/m1.safetensors").is_file():
        path.unlink()  # it comes from the remote again
    path = locate("m1", folder)
    return models.describe_model(path), searching.calibration_beside(path)


def _cameras(folder: Path) -> None:
    """Two real videos, their tracks and the manifest of the simulator."""
    root = folder / "campus"
    root.mkdir()
    splits = {"train": [1, 2], "validation": [3], "test": [4, 5]}
    for camera in (1, 2):
        _video(root / f"c{camera}.mp4")
        lines = [f"{f},{n},{4 + 9 * n},8,16,40,1,1,0.{n}\n" for f in range(1, 7) for n in range(1, 6)]
        write_text(root / f"c{camera}.txt", "".join(lines))
    truth = pd.DataFrame({name: np.ones(12) for name in SCHEMA.names[:-1]}).assign(occluder="none")
    write_truth(root / "truth.parquet", truth.assign(frame=range(1, 13)))
    write_text(root / "tracks.csv", "camera,identity,track,first,orientation\n1,1,1,1,2.5\n")
    sums = {
        name: hashlib.sha256((root / name).read_bytes()).hexdigest()
        for name in ("truth.parquet", "tracks.csv")
    }
    entries = {}
    for camera in (1, 2):
        both = {"video": f"c{camera}.mp4", "tracks": f"c{camera}.txt"}
        digests = {
            f"sha256_{k}": hashlib.sha256((root / v).read_bytes()).hexdigest() for k, v in both.items()
        }
        entries[f"c{camera}"] = {"frames": 6, **digests}
    content = {
        "format": "sttreid-cameras/1",
        "name": "campus",
        "gap": 3,
        "cameras": entries,
        "splits": splits,
    }
    write_json(root / "manifest.json", content | {"tables": sums, "version": "v", "scale": {}, "domain": {}})


def _video(path: Path) -> None:
    with closing(av.open(str(path), "w")) as file:
        stream = file.add_stream("libx264", rate=12, options={"crf": "30"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(6):
            frame = np.full((64, 96, 3), 40 * number, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())


def _dataset(reader: str, folder: Path, **options: Any) -> object:
    dataset = Dataset(reader=reader, root=Path("a"), options=options)
    return read_dataset(dataset, folder, ReadSettings(Validation(share=0.3, seed=0), scratch=None))


def _read_cameras(folder: Path) -> object:
    return _dataset("cameras", folder / "campus")


def _no_checksums(folder: Path) -> None:
    """As ``_cameras``, but the manifest lets the tracks change."""
    _cameras(folder)
    path = folder / "campus/manifest.json"
    content = json.loads(path.read_text())
    for entry in content["cameras"].values():
        del entry["sha256_tracks"], entry["sha256_video"]
    write_json(path, content)


def _read_manifest(folder: Path) -> object:
    root = folder / "campus"
    return checksums(root / "manifest.json"), differences(root, root / "manifest.json")


def _read_sheet(folder: Path) -> object:
    return draw_identities(folder / "campus", [1, 2])


def _read_truth(folder: Path) -> object:
    boxes = read_truth(folder / "campus/truth.parquet")
    return by_track(boxes, pd.Series(1, index=boxes.index))


FLAVOURS: Final = {
    "mot": lambda f, n: f"{f},{n},{4 + 9 * n},8,16,40,1,1,0.{n}\n",
    "results": lambda f, n: f"{f},{n},{4 + 9 * n}.5,8,16,40,0.9{n},-1,-1,-1\n",
    "space": lambda f, n: f"{f} {n} {4 + 9 * n} 8 16 40 1 -1 -1 -1\n",
    "kitti": lambda f, n: f"{f - 1} {n} Pedestrian 0 0 -1.5 {4 + 9 * n} 8 {20 + 9 * n} 48 1 1 1 1 1 1 1\n",
    "csv": lambda f, n: f"{f};{n};{4 + 9 * n};8;16;40;person\n",
}


def _footage(flavour: str, folder: Path) -> None:
    root = folder / "mine"
    root.mkdir()
    for camera in ("hall", "door"):
        _video(root / f"{camera}.mp4")
        head = "frame;track_id;x;y;w;h;class\n" if flavour == "csv" else ""
        lines = [FLAVOURS[flavour](f, n) for f in range(1, 7) for n in range(1, 6)]
        write_text(root / f"{camera}.txt", head + "".join(lines))


def _sequence(folder: Path) -> None:
    """A MOTChallenge sequence with labels.txt, and a folder of ultralytics' labels beside a video."""
    root = folder / "mine"
    (root / "lobby/gt").mkdir(parents=True)
    (root / "lobby/img1").mkdir()
    for number in range(1, 7):
        Image.new("RGB", (96, 64), (number, 40, 40)).save(root / f"lobby/img1/{number:06d}.jpg")
    ini = (
        "[Sequence]\nname=lobby\nimDir=img1\nframeRate=12\nseqLength=6\nimWidth=96\nimHeight=64\nimExt=.jpg\n"
    )
    write_text(root / "lobby/seqinfo.ini", ini)
    lines = [FLAVOURS["mot"](f, n) for f in range(1, 7) for n in range(1, 6)]
    write_text(root / "lobby/gt/gt.txt", "".join(lines))
    write_text(root / "lobby/gt/labels.txt", "person\ncar\n")
    _video(root / "yard.mp4")
    for frame in range(1, 7):
        rows = [f"0 0.{n + 1} 0.4 0.2 0.5 0.9 {n}\n" for n in range(1, 6)]
        write_text(root / f"labels/yard_{frame}.txt", "".join(rows))


def _read_footage(folder: Path) -> object:
    return _dataset("footage", folder / "mine", max_frame_gap=3, test=0.5, identity_scope="global")


def _films(folder: Path) -> None:
    _video(folder / "film.mp4")


def _read_films(folder: Path) -> object:
    return examine(folder / "film.mp4")


def _pictures(folder: Path) -> None:
    for number, suffix in enumerate((".jpg", ".png")):
        Image.new("RGB", (24, 40), (90, 140, 60)).save(folder / f"{number}{suffix}")


def _read_pictures(folder: Path) -> object:
    return embed(_network(), folder)


def _index_manifest(folder: Path) -> None:
    write_text(folder / "there/a/1.txt", "1")
    write_json(folder / "sets/mine.json", scan(folder / "there"))
    write_text(folder / "sets/local.yaml", yaml.safe_dump({"mine": str(folder / "there")}))


def _read_index_manifest(folder: Path) -> object:
    path = folder / "sets/mine.json"
    manifest = read_manifest(path, "mine")
    local_folder("mine", path)
    return changed_parts(manifest, scan(folder / "there"))


def _labels(folder: Path) -> None:
    text = "video,track,identity\n" + "".join(f"cam1.mp4,{n},p{n}\n" for n in range(1, 5))
    write_text(folder / "labels.csv", text)
    write_text(folder / "queries.txt", "cam1.mp4:1\ncam2.mp4:3@21\n")


def _read_labels(folder: Path) -> object:
    gallery = labels.label(gallery_of(), labels.read_labels(folder / "labels.csv"), folder / "labels.csv")
    queries = searching._read_names(folder / "queries.txt")
    return search([row for name in queries for row in gallery.find(name)], gallery, 2)


def _training(folder: Path) -> None:
    """A checkpoint and the status of a run that trains."""
    run = folder / ".scratch/pretrain/a"
    run.mkdir(parents=True)
    Checkpoints(run, io.StringIO()).write(3, pack({"step": 3, "network": {"a": torch.zeros(3)}}))
    status = {
        "name": "a",
        "process": 1,
        "step": 3,
        "steps": 9,
        "steps_per_second": 0.5,
        "clips_per_second": 9.0,
    }
    status |= {
        "lr": 0.1,
        "loss": 0.5,
        "train_rank1": None,
        "validation_rank1": 0.5,
        "updated": 0.0,
        "curve": None,
    }
    write_json(run.with_name(STATUS), status)


def _read_training(folder: Path) -> object:
    content = Checkpoints(folder / ".scratch/pretrain/a", io.StringIO()).latest()
    return watch.lines(folder, 0.0), None if content is None else unpack(content)


def _published(reader: str, **options: Any) -> Callable[[Path], object]:
    return lambda folder: _dataset(reader, folder, **options)


def _of(write: Callable[..., object], *words: Any) -> Write:
    return partial(write, *words)


PARSERS: Final = (
    Parser("params.yaml", _params, ("params.yaml",), _read_params),
    Parser(
        "experiments/*/params.yaml", _study, ("**/params.yaml",), lambda folder: check_study(folder, "claims")
    ),
    Parser("domains/*.yaml", _domains, ("*.yaml",), _read_domains),
    Parser("dvc.lock", _run, ("*.yaml", "dvc.lock", "dvc.lock", "metrics/*"), _read_run),
    Parser("results, compared", _run, ("artifacts/results/**/*",), _read_compared),
    Parser("results and histories", _results, ("artifacts/**/*",), _read_results),
    Parser("published claims", _claims, ("**/*.json",), _read_claims),
    Parser("metrics/ablation.*", _metrics, ("**/*",), _read_metrics),
    Parser("weights, .pt", _of(_weights, ".pt"), ("*.pt",), partial(_read_weights, ".pt")),
    Parser(
        "weights, .safetensors",
        _of(_weights, ".safetensors"),
        ("*.safetensors",),
        partial(_read_weights, ".safetensors"),
    ),
    Parser("checkpoints of other projects", _checkpoint, ("*",), _read_checkpoint),
    Parser("features and labels, .npz", _features, ("*.npz",), partial(_read_features, ".npz")),
    Parser("features .npy, labels .csv", _features, ("query.npy", "*.csv"), partial(_read_features, ".csv")),
    Parser("labels, .parquet", _features, ("*.parquet",), partial(_read_features, ".parquet")),
    Parser("distances, .npy", _features, ("distances.npy",), partial(_read_features, "distances")),
    Parser("tracklet store", _store, ("store/*", "tracks.csv"), _read_store),
    Parser("tracklet store of pictures", _packed, ("store/*",), _read_packed),
    Parser("gallery and result page", _gallery, ("*.parquet",), _read_gallery),
    Parser(
        "calibration",
        lambda f: _calibration().write(f / "model.calibration.json"),
        ("*.json",),
        _read_calibration,
    ),
    Parser(
        "model card, dvc.yaml, pointer", _models, ("dvc.yaml", "models/*", "data-store/**/*"), _read_models
    ),
    Parser("manifest of the simulator", _cameras, ("campus/manifest.json",), _read_manifest),
    Parser("cameras with a manifest", _no_checksums, ("campus/manifest.json", "campus/c*.*"), _read_cameras),
    Parser("identity sheet", _cameras, ("campus/*.json", "campus/c*.*"), _read_sheet),
    Parser("truth.parquet", _cameras, ("campus/truth.parquet",), _read_truth),
    Parser("manifest of a folder, local.yaml", _index_manifest, ("sets/*",), _read_index_manifest),
    *(Parser(f"tracks, {name}", _of(_footage, name), ("mine/*.txt",), _read_footage) for name in FLAVOURS),
    Parser(
        "MOTChallenge, labels of YOLO",
        _sequence,
        ("mine/lobby/*.ini", "mine/lobby/gt/*", "mine/labels/*"),
        _read_footage,
    ),
    Parser("videos", _films, ("*.mp4",), _read_films),
    Parser("pictures", _pictures, ("*",), _read_pictures),
    Parser("MARS", sets.mars, ("MARS/info/*",), _published("mars")),
    Parser(
        "LS-VID, .mat", sets.ls_vid, ("LS-VID/list_sequence/*", "LS-VID/test/**/*.mat"), _published("ls_vid")
    ),
    Parser(
        "LS-VID, .npy",
        lambda folder: sets.ls_vid(folder, "npy", validation=False),
        ("LS-VID/list_sequence/*", "LS-VID/test/*.npy"),
        _published("ls_vid"),
    ),
    Parser("iLIDS-VID", sets.ilids, ("iLIDS/**/*.mat",), _published("ilids_vid", split=1)),
    Parser("PRID2011", sets.prid, ("prid2011/*.json",), _published("prid2011", split=1)),
    Parser("labels and queries of search", _labels, ("*.csv", "*.txt"), _read_labels),
    Parser("checkpoint and status of a run", _training, (".scratch/**/*",), _read_training),
)

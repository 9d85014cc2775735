"""Tables of the stage ``visualise`` -> film strips, attention and ranked lists of the page."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image as Pillow

from sttreid.analysis.phrases import bracket, percent
from sttreid.analysis.uncertainty import Interval, Sample, interval
from sttreid.report import charts
from sttreid.report.render import Clips, Figure, Image, Match, RankedList, Table
from sttreid.report.tables import TEXT, mark

GLOW = np.array([[90, 20, 110], [220, 50, 60], [255, 170, 40], [255, 250, 190]], float)  # even to most
EDGES = (-1.0, -0.2, -0.05, 0.05, 0.2, 1.0)  # of a frame's visibility minus the mean of its clip
BINS = ("< -20", "-20 to -5", "-5 to 5", "5 to 20", "> 20")  # the same in points
SHOWN = 3  # tracklets of the static image
SCALE, QUALITY = 2.0, 75  # of the static image

Clip = tuple[pd.Series, pd.DataFrame]  # its strip, and its frames of all variants


@dataclass(frozen=True, eq=False)
class Visuals:
    """The tables of the stage ``visualise`` (:mod:`sttreid.report.visuals`), all of the first seed.

    Attributes:
        frames: temporal attention of every frame of the source's queries, by variant.
        patches: spatial attention of a few tracklets, by variant.
        lists: ranked lists of every target's own model.
        maps: test tracklets in the space of two models, on a plane.
        strips: film strips (JPEG), of clips and of the lists.
    """

    frames: pd.DataFrame
    patches: pd.DataFrame
    lists: pd.DataFrame
    maps: pd.DataFrame
    strips: pd.DataFrame

    @property
    def variants(self) -> list[str]:
        """Whose attention is shown, in order."""
        return [str(name) for name in self.frames["variant"].unique()]

    @property
    def seed(self) -> int:
        """Of all tables."""
        return int(self.strips["seed"].iloc[0])

    def with_shares(self) -> pd.DataFrame:
        """``frames`` with ``even``, a frame's weight over an even share of what the clip's frames get
        together, and ``gap``, its visibility minus the mean of the clip's frames.
        """
        frames = self.frames
        clip = frames.groupby(["variant", "tracklet", "clip"])
        even = frames["weight"] / frames["times"] * clip["times"].transform("sum") / (1 - frames["token"])
        return frames.assign(even=even, gap=frames["visibility"] - clip["visibility"].transform("mean"))


def concentration(visuals: Visuals) -> Table:
    """How concentrated temporal attention is: means over clips or frames."""
    frames = visuals.with_shares()
    strongest = [max(heads) for heads in frames["heads"]]
    frames = frames.assign(tokens=np.exp(frames["entropy"]), strongest=strongest)
    frames = frames.assign(uneven=(frames["even"] - 1).abs())
    keys, values = ["variant", "identity", "tracklet", "clip"], ["tokens", "token", "strongest"]
    clips = frames.groupby(keys)[values].max().reset_index()
    rows = []
    for name in visuals.variants:
        tokens, *others = (_over_identities(clips[clips["variant"] == name], value) for value in values)
        others.append(_over_identities(frames[frames["variant"] == name], "uneven"))
        rows.append([name, bracket(tokens, "{:.2f}".format), *map(bracket, others)])
    columns = ["effective tokens, exp(entropy)", "weight on the token itself, %"]
    columns += ["highest weight of a head on a frame, %", "distance of a frame from an even share, %"]
    return Table(["variant", *columns], rows, "Concentration of temporal attention")


def by_visibility(visuals: Visuals, scope: str) -> list[Figure]:
    """Whether more visible frames get more attention; nothing where visibility is unknown."""
    frames = visuals.with_shares().dropna(subset=["gap"])
    bins = pd.cut(frames["gap"], EDGES, labels=BINS, include_lowest=True)
    groups = dict(iter(frames.groupby([bins, "variant"], observed=True)))
    cells = [(label, name) for label in BINS for name in visuals.variants if (label, name) in groups]
    means = {cell: _over_identities(groups[cell], "even") for cell in cells}
    if not means:
        return []
    rows = [[label, name, bracket(mean, "{:.2f}".format)] for (label, name), mean in means.items()]
    columns = ["visibility less the clip's mean, points", "variant", "weight over an even share"]
    data = Table(columns, rows, "Attention by visibility", left=2)
    marks = pd.DataFrame([mark(*cell, mean) for cell, mean in means.items()])
    chart = charts.forest(marks, "weight / even share", reference=1.0, percent=False)
    return [Figure("Attention by visibility", chart, TEXT["by_visibility"], scope, data)]


def temporal(visuals: Visuals, scope: str) -> list[Clips]:
    """Temporal attention, clip by clip, of each chosen tracklet."""
    return [
        Clips(title, caption, scope, charts=[_clip(strip, frames) for strip, frames in clips])
        for title, caption, clips in _tracklets(visuals)
    ]


def spatial(visuals: Visuals, scope: str) -> list[Clips]:
    """Spatial attention of the same clips: the frames, then the frames under each variant's weights."""
    tracklets = []
    for title, caption, clips in _tracklets(visuals):
        stacks = []
        for strip, frames in clips:
            patches = visuals.patches[visuals.patches["tracklet"] == strip["tracklet"]]
            number, top = int(strip["clip"]) + 1, float(patches["weight"].max())
            stack = [_image(strip, f"Clip {number}")]
            for name in visuals.variants:
                rows = patches[(patches["variant"] == name) & patches["place"].isin(frames["place"])]
                weights = rows.pivot_table("weight", ["place", "row"], "column").to_numpy()
                weights = weights.reshape(rows["place"].nunique(), -1, weights.shape[1])
                shown = _image(strip, f"Clip {number}, attention of {name}: {_where(weights)}")
                stack.append(Image(overlay(shown.jpeg, weights, top), shown.width, shown.height, shown.alt))
            stacks.append(stack)
        tracklets.append(Clips(title, caption, scope, stacks=stacks))
    return tracklets


def ranked(visuals: Visuals, dataset: str, kind: str) -> list[RankedList]:
    """The ranked lists of one data set; ``kind`` is "hardest" or "even"."""
    rows = visuals.lists[(visuals.lists["dataset"] == dataset) & (visuals.lists["kind"] == kind)]
    strips = visuals.strips[visuals.strips["kind"] == "list"].set_index(["dataset", "tracklet"])
    lists = []
    for query, matches in rows.groupby("query", sort=False):
        first, gaps = matches.iloc[0], matches["rank"].diff().fillna(1) > 1
        identity = f"identity {first['query_identity']}, camera {first['query_camera']}"
        share = first["query_visibility"]
        visible = "" if pd.isna(share) else f", {percent(share)} % visible"
        hit = int(first["query_first_hit"])
        outcome = f"first correct match at rank {hit}" if hit else "no correct match"
        lists.append(
            RankedList(
                title=f"{dataset}, tracklet {query}: AP {percent(first['query_ap'])} %, {outcome}",
                text=f"{identity}, {first['query_length']} frames{visible}",
                strip=_image(strips.loc[(dataset, query)], f"Query: {identity}"),
                matches=[
                    _match(row, gap, strips.loc[(dataset, row["tracklet"])])
                    for (_, row), gap in zip(matches.iterrows(), gaps, strict=True)
                ],
            )
        )
    return lists


def poster(visuals: Visuals) -> bytes:
    """Temporal attention in a few tracklets as one JPEG file, for pages without HTML."""
    series = (f"{mark} {name}" for mark, name in zip(("blue", "orange"), visuals.variants, strict=False))
    text = f"Weight of each frame in the temporal token's attention, %: {', '.join(series)}; grey: visible, %"
    rows = [
        alt.hconcat(*(_chart(strip, frames, charts.STATIC) for strip, frames in clips), spacing=8).properties(
            title=alt.Title(f"{title}: {caption}", anchor="start", fontSize=11)
        )
        for title, caption, clips in list(_tracklets(visuals))[:SHOWN]
    ]
    figure = alt.vconcat(*rows, spacing=12).properties(title=alt.Title(text, anchor="start", fontSize=12))
    return _jpeg(Pillow.open(io.BytesIO(charts.png(figure, SCALE))).convert("RGB"), QUALITY)


def overlay(jpeg: bytes, weights: NDArray[np.floating], top: float) -> bytes:
    """Overlay patch weights on a grey film strip: positions with more than an even share are highlighted.

    Args:
        jpeg: the strip, of T frames.
        weights: [T, H, W] of the patches; those of a frame sum to 1 or less.
        top: weight that glows most.

    Returns:
        A JPEG file of the same size.
    """
    pixels = np.asarray(Pillow.open(io.BytesIO(jpeg)).convert("L"), float)
    count, rows, columns = weights.shape
    flat = weights.transpose(1, 0, 2).reshape(rows, count * columns)
    down = np.arange(pixels.shape[0]) * rows // pixels.shape[0]
    across = np.arange(pixels.shape[1]) * count * columns // pixels.shape[1]
    even = 1 / (rows * columns)
    share = np.clip((flat[down][:, across] - even) / max(top - even, 1e-12), 0, 1)
    steps = np.linspace(0, 1, len(GLOW))
    glow = np.stack([np.interp(share, steps, GLOW[:, channel]) for channel in range(3)], axis=-1)
    blend = (0.8 * share**0.5)[..., None]
    mixed = (1 - blend) * pixels[..., None] + blend * glow
    return _jpeg(Pillow.fromarray(mixed.round().astype(np.uint8)), 85)


def _tracklets(visuals: Visuals) -> Iterator[tuple[str, str, Sequence[Clip]]]:
    """Title and caption of each chosen tracklet, and its clips: the strip and the frames of all variants."""
    strips, frames = visuals.strips[visuals.strips["kind"] == "clip"], visuals.with_shares()
    for tracklet, clips in strips.groupby("tracklet", sort=False):
        rows = frames[frames["tracklet"] == tracklet]
        seen = rows["visibility"]
        visible = "" if seen.isna().all() else f", {percent(seen.min())} to {percent(seen.max())} % visible"
        caption = f"Identity {rows['identity'].iloc[0]}, {rows['place'].nunique()} frames{visible}."
        parts = [(strip, rows[rows["clip"] == strip["clip"]]) for _, strip in clips.iterrows()]
        yield f"{clips['dataset'].iloc[0]}, tracklet {tracklet}", caption, parts


def _clip(strip: pd.Series, frames: pd.DataFrame) -> tuple[charts.Chart, str]:
    """The chart of a clip, and its description."""
    first = frames[frames["variant"] == frames["variant"].iloc[0]]
    seen = ("?" if pd.isna(share) else f"{100 * share:.0f}" for share in first["visibility"])
    parts = [f"visible {', '.join(seen)} per cent"]
    for name, rows in frames.groupby("variant", sort=False):
        parts.append(f"{name} {', '.join(f'{100 * weight:.0f}' for weight in rows['weight'])} per cent")
    chart = _chart(strip, frames, charts.PAGE).properties(padding=0)
    return chart, f"Clip {int(strip['clip']) + 1}: {'; '.join(parts)}."


def _chart(strip: pd.Series, frames: pd.DataFrame, palette: charts.Palette) -> charts.Chart:
    return charts.attention(
        _image(strip, "").uri, (int(strip["width"]), int(strip["height"])), frames, palette
    )


def _match(row: pd.Series, gap: bool, strip: pd.Series) -> Match:
    text = f"identity {row['identity']}, camera {row['camera']}, distance {row['distance']:.3f}"
    verdict = "correct" if row["correct"] else "wrong"
    image = _image(strip, f"Rank {row['rank']}, {verdict}: {text}")
    return Match(int(row["rank"]), bool(row["correct"]), gap, text, image)


def _over_identities(table: pd.DataFrame, column: str) -> Interval:
    """The mean of a column, and its CI over identities."""
    identities, cluster = np.unique(table["identity"].to_numpy(np.int64), return_inverse=True)
    sums = np.bincount(cluster, table[column].to_numpy(float)).astype(float)
    counts = np.bincount(cluster).astype(float)
    return interval([Sample("attention", column, sums[None], counts, identities)])


def _image(strip: pd.Series, text: str) -> Image:
    """A row of ``strips``."""
    return Image(bytes(strip["jpeg"]), int(strip["width"]) * int(strip["frames"]), int(strip["height"]), text)


def _where(weights: NDArray[np.floating]) -> str:
    """Shares of the weight [T, H, W] that go to the thirds of the frames' height."""
    thirds = [part.sum() for part in np.array_split(weights.sum((0, 2)) / weights.sum(), 3)]
    names = ("top", "middle", "bottom")
    return ", ".join(f"{percent(share)} % {name}" for share, name in zip(thirds, names, strict=True))


def _jpeg(image: Pillow.Image, quality: int) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality, optimize=True)
    return content.getvalue()

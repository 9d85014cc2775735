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
FRAME = 103  # pixels of a frame's width on the page; three clips of four frames fill 1280
SHOWN, STATIC, SCALE, QUALITY = 3, 64, 1.25, 75  # tracklets and frame width of the static image, and its JPEG

Clip = tuple[pd.Series, pd.DataFrame]  # its strip, and its frames of all variants


@dataclass(frozen=True, eq=False)
class Visuals:
    """The tables of the stage ``visualise`` (:mod:`sttreid.report.visuals`), all of the first seed.

    Attributes:
        frames: temporal attention of every frame of the source's queries, by variant.
        patches: spatial attention of a few tracklets, by variant.
        lists: ranked lists of every target's own model.
        maps: test tracklets in the space of two models, on a plane.
        strips: film strips (JPEG): frames of clips side by side, those of the lists one below the other.
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
    def clip_frames(self) -> int:
        """Frames of a clip, T."""
        return int(self.frames.groupby(["variant", "tracklet", "clip"])["times"].sum().max())

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
    frames = frames.assign(strongest=strongest, uneven=(frames["even"] - 1).abs())
    clips = frames.groupby(["variant", "identity", "tracklet", "clip"])
    clips = clips[["token", "strongest"]].max().reset_index()
    rows = []
    for name in visuals.variants:
        ours = clips[clips["variant"] == name]
        others = [_over_identities(ours, value) for value in ("token", "strongest")]
        others.append(_over_identities(frames[frames["variant"] == name], "uneven"))
        rows.append([name, bracket(spread(visuals, name), "{:.2f}".format), *map(bracket, others)])
    columns = ["tokens that share the attention", "weight of the token on itself, %"]
    columns += ["highest weight that a head gives a frame, %", "mean distance from equal weights, %"]
    return Table(["variant", *columns], rows, "How temporal attention is spread")


def spread(visuals: Visuals, variant: str) -> Interval:
    """The number of tokens that share a clip's attention: exp(entropy), the mean over clips."""
    frames = visuals.frames[visuals.frames["variant"] == variant]
    clips = frames.groupby(["identity", "tracklet", "clip"])["entropy"].first().reset_index()
    return _over_identities(clips.assign(tokens=np.exp(clips["entropy"])), "tokens")


def by_visibility(visuals: Visuals) -> list[Figure]:
    """Whether more visible frames get more attention; nothing where visibility is unknown."""
    frames = visuals.with_shares().dropna(subset=["gap"])
    bins = pd.cut(frames["gap"], EDGES, labels=BINS, include_lowest=True)
    groups = dict(iter(frames.groupby([bins, "variant"], observed=True)))
    cells = [(label, name) for label in BINS for name in visuals.variants if (label, name) in groups]
    means = {cell: _over_identities(groups[cell], "even") for cell in cells}
    if not means:
        return []
    rows = [[label, name, bracket(mean, "{:.2f}".format)] for (label, name), mean in means.items()]
    columns = ["visibility minus the clip's mean, points", "variant", "weight / equal weight"]
    data = Table(columns, rows, "Attention by visibility", left=2)
    marks = pd.DataFrame([mark(*cell, mean) for cell, mean in means.items()])
    chart = charts.forest(marks, "weight / equal weight", reference=1.0, percent=False)
    return [Figure("Attention by visibility", chart, data)]


def temporal(visuals: Visuals) -> list[Clips]:
    """Temporal attention, clip by clip, of each chosen tracklet; the first one is open."""
    return [
        Clips(title, charts=[_clip(strip, frames) for strip, frames in clips], open=not number)
        for number, (title, clips) in enumerate(_tracklets(visuals))
    ]


def spatial(visuals: Visuals) -> list[Clips]:
    """Spatial attention of the same clips: the frames, then the frames under each variant's weights."""
    tracklets: list[Clips] = []
    for title, clips in _tracklets(visuals):
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
        tracklets.append(Clips(title, stacks=stacks, open=not tracklets))
    return tracklets


def ranked(visuals: Visuals, dataset: str, kind: str) -> list[RankedList]:
    """The ranked lists of one data set; ``kind`` is "failure" or "success"."""
    rows = visuals.lists[(visuals.lists["dataset"] == dataset) & (visuals.lists["kind"] == kind)]
    strips = visuals.strips[visuals.strips["kind"] == "list"].set_index(["dataset", "tracklet"])
    lists = []
    for query, matches in rows.groupby("query", sort=False):
        first, gaps = matches.iloc[0], matches["rank"].diff().fillna(1) > 1
        identity = f"identity {first['query_identity']}, camera {first['query_camera']}"
        share = first["query_visibility"]
        visible = "" if pd.isna(share) else f", {percent(share)} % visible"
        hit = int(first["query_first_hit"])
        outcome = f"first correct answer at rank {hit}" if hit else "no correct answer"
        lists.append(
            RankedList(
                title=f"{dataset}, tracklet {query}: {outcome}, AP {percent(first['query_ap'])} %",
                strip=_image(strips.loc[(dataset, query)], f"Query: {identity}"),
                text=f"{identity}, {first['query_length']} frames{visible}",
                matches=[
                    _match(row, gap, strips.loc[(dataset, row["tracklet"])])
                    for (_, row), gap in zip(matches.iterrows(), gaps, strict=True)
                ],
            )
        )
    return lists


def poster(visuals: Visuals) -> bytes:
    """Temporal attention in a few tracklets as one JPEG file, for pages without HTML."""
    first, second = (f"{bracket(spread(visuals, name), '{:.2f}'.format)}" for name in visuals.variants)
    above, below = visuals.variants
    names = {"above": above, "below": below}
    message = TEXT["poster"].format(first=first, second=second, tokens=1 + visuals.clip_frames, **names)
    rows = []
    for title, clips in list(_tracklets(visuals))[:SHOWN]:
        parts = (_chart(strip, frames, charts.STATIC, STATIC) for strip, frames in clips)
        row = alt.hconcat(*parts, spacing=8)
        rows.append(row.properties(title=alt.Title(title, anchor="start", fontSize=12)))
    legend = [line.format(**names) for line in TEXT["poster_legend"]]
    heading = alt.Title(message, subtitle=legend, anchor="start", fontSize=15, subtitleFontSize=12, offset=10)
    figure = alt.vconcat(*rows, spacing=12).properties(title=heading)
    return _jpeg(Pillow.open(io.BytesIO(charts.png(figure, SCALE))).convert("RGB"), QUALITY)


def overlay(jpeg: bytes, weights: NDArray[np.floating], top: float) -> bytes:
    """Overlay patch weights on a grey film strip: positions are highlighted that have more than an even share
    of what the patches of their frame get together.

    Args:
        jpeg: the strip, of T frames.
        weights: [T, H, W] of the patches; those of a frame sum to 1 or less.
        top: weight that glows most.

    Returns:
        A JPEG file of the same size.
    """
    pixels = np.asarray(Pillow.open(io.BytesIO(jpeg)).convert("L"), float)
    count, rows, columns = weights.shape
    even = weights.mean(axis=(1, 2), keepdims=True)
    share = np.clip((weights - even) / np.maximum(top - even, 1e-12), 0, 1)
    flat = share.transpose(1, 0, 2).reshape(rows, count * columns)
    down = np.arange(pixels.shape[0]) * rows // pixels.shape[0]
    across = np.arange(pixels.shape[1]) * count * columns // pixels.shape[1]
    share = flat[down][:, across]
    steps = np.linspace(0, 1, len(GLOW))
    glow = np.stack([np.interp(share, steps, GLOW[:, channel]) for channel in range(3)], axis=-1)
    blend = (0.8 * share**0.5)[..., None]
    mixed = (1 - blend) * pixels[..., None] + blend * glow
    return _jpeg(Pillow.fromarray(mixed.round().astype(np.uint8)), 85)


def _tracklets(visuals: Visuals) -> Iterator[tuple[str, Sequence[Clip]]]:
    """Title of each chosen tracklet, and its clips: the strip and the frames of all variants."""
    strips, frames = visuals.strips[visuals.strips["kind"] == "clip"], visuals.with_shares()
    for tracklet, clips in strips.groupby("tracklet", sort=False):
        rows = frames[frames["tracklet"] == tracklet]
        seen, number = rows["visibility"], rows["place"].nunique()
        ends = f"{100 * seen.min():.0f} to {100 * seen.max():.0f}"
        visible = "" if seen.isna().all() else f", {ends} % visible"
        parts = [(strip, rows[rows["clip"] == strip["clip"]]) for _, strip in clips.iterrows()]
        name = f"{clips['dataset'].iloc[0]}, tracklet {tracklet}"
        yield f"{name}: identity {rows['identity'].iloc[0]}, {number} frames{visible}", parts


def _clip(strip: pd.Series, frames: pd.DataFrame) -> tuple[charts.Chart, str]:
    """The chart of a clip, and its description."""
    first = frames[frames["variant"] == frames["variant"].iloc[0]]
    seen = ("?" if pd.isna(share) else f"{100 * share:.0f}" for share in first["visibility"])
    parts = [f"visible {', '.join(seen)} per cent"]
    for name, rows in frames.groupby("variant", sort=False):
        parts.append(f"{name} {', '.join(f'{100 * weight:.0f}' for weight in rows['weight'])} per cent")
    chart = _chart(strip, frames, charts.PAGE, FRAME).properties(padding=0)
    return chart, f"Clip {int(strip['clip']) + 1}: {'; '.join(parts)}."


def _chart(strip: pd.Series, frames: pd.DataFrame, palette: charts.Palette, width: int) -> charts.Chart:
    """A clip whose frames are shown ``width`` pixels wide."""
    size = width, round(width * int(strip["height"]) / int(strip["width"]))
    return charts.attention(_image(strip, "").uri, size, frames, palette)


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
    width, height, frames = (int(strip[key]) for key in ("width", "height", "frames"))
    size = (width * frames, height) if strip["kind"] == "clip" else (width, height * frames)
    return Image(bytes(strip["jpeg"]), *size, text)


def _where(weights: NDArray[np.floating]) -> str:
    """Shares of the weight [T, H, W] that go to the thirds of the frames' height; a row may lie in two."""
    thirds = np.repeat(weights.sum((0, 2)) / weights.sum() / 3, 3).reshape(3, -1).sum(axis=1)
    names = ("top", "middle", "bottom")
    return ", ".join(f"{percent(share)} % {name}" for share, name in zip(thirds, names, strict=True))


def _jpeg(image: Pillow.Image, quality: int) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality, optimize=True)
    return content.getvalue()

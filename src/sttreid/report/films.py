"""Film strips, attention and ranked lists -> pictures of the page, with words for who does not see them."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from sttreid.report.tables import percent

BAR, TEXT, HEAD = 20, 9, 5  # pixels of a row of bars, of the numbers under it, of a head's row of cells
GLOW = np.array([[90, 20, 110], [220, 50, 60], [255, 170, 40], [255, 250, 190]], float)  # even to most

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Pictures:
    """The tables of the stage ``picture``, all of one seed.

    Attributes:
        left: ablation variant whose attention is shown, ...
        right: ... and the one beside it.
        frames: attention of every frame of the source's test, of both.
        patches: attention of the patches of a few tracklets, of both.
        lists: ranked lists of every target's own model.
        maps: places of test tracklets in the space of two models.
        strips: film strips (JPEG), of clips and for lists.
    """

    left: str
    right: str
    frames: pd.DataFrame
    patches: pd.DataFrame
    lists: pd.DataFrame
    maps: pd.DataFrame
    strips: pd.DataFrame

    @property
    def seed(self) -> int:
        """The seed whose networks are shown."""
        return int(self.strips["seed"].iloc[0])


@dataclass(frozen=True)
class Film:
    """A film strip in the page: data URI, size in pixels, and words for those who do not see it."""

    uri: str
    width: int
    height: int
    words: str


@dataclass(frozen=True)
class Answer:
    """One place of a ranked list."""

    rank: int
    right: bool
    told: str
    film: Film
    later: bool  # stands beyond the list, the first right answer


@dataclass(frozen=True)
class Ranked:
    """One query and what it finds."""

    title: str
    told: str
    film: Film
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Looked:
    """One tracklet and what two networks look at, clip by clip."""

    title: str
    told: str
    clips: Sequence[Markup]
    overlays: Sequence[Sequence[Film]]  # of a clip: its frames, then each network's


def ranked(pictures: Pictures, dataset: str, kind: str) -> list[Ranked]:
    """The ranked lists of one data set; ``kind`` is "hardest" or "even"."""
    rows = pictures.lists
    rows = rows[(rows["dataset"] == dataset) & (rows["kind"] == kind)]
    strips = pictures.strips[pictures.strips["kind"] == "list"].set_index(["dataset", "tracklet"])
    lists = []
    for query, answers in rows.groupby("query", sort=False):
        first = answers.iloc[0]
        who = f"identity {first['query_identity']}, camera {first['query_camera']}"
        seen = (
            "" if pd.isna(first["query_visibility"]) else f", {percent(first['query_visibility'])} % visible"
        )
        hit = int(first["query_first_hit"])
        found = f"first right answer at rank {hit}" if hit else "no right answer"
        lists.append(
            Ranked(
                title=f"{dataset}, tracklet {query}: AP {percent(first['query_ap'])} %, {found}",
                told=f"{who}, {first['query_length']} frames{seen}",
                film=film(strips.loc[(dataset, query)], f"query: {who}"),
                answers=[_answer(row, strips, dataset) for _, row in _gaps(answers).iterrows()],
            )
        )
    return lists


def _gaps(answers: pd.DataFrame) -> pd.DataFrame:
    """Mark an answer that does not follow the one before it."""
    return answers.assign(later=answers["rank"].diff().fillna(1) > 1)


def _answer(row: pd.Series, strips: pd.DataFrame, dataset: str) -> Answer:
    verdict = "right" if row["right"] else "wrong"
    told = f"identity {row['identity']}, camera {row['camera']}, distance {row['distance']:.3f}"
    shown = film(strips.loc[(dataset, row["tracklet"])], f"rank {row['rank']}, {verdict}: {told}")
    return Answer(int(row["rank"]), bool(row["right"]), told, shown, bool(row["later"]))


def attended(pictures: Pictures) -> pd.DataFrame:
    """Frames with ``even``, their weight over an even share of what the clip's frames get together, and
    ``gap``, their visibility less the mean of the clip's frames.
    """
    frames = pictures.frames
    clip = frames.groupby(["variant", "tracklet", "clip"])
    even = frames["weight"] / frames["times"] * clip["times"].transform("sum") / (1 - frames["token"])
    return frames.assign(even=even, gap=frames["visibility"] - clip["visibility"].transform("mean"))


def film(strip: pd.Series, words: str) -> Film:
    """A row of ``strips`` as a picture."""
    width, height = int(strip["width"]) * int(strip["frames"]), int(strip["height"])
    return Film(data_uri(bytes(strip["jpeg"])), width, height, words)


def data_uri(jpeg: bytes) -> str:
    """A JPEG file as a URI that needs no network."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def looked(pictures: Pictures) -> list[Looked]:
    """Attention of both networks on each chosen tracklet, in the order in which the strips stand."""
    strips = pictures.strips[pictures.strips["kind"] == "clip"]
    known, shown = attended(pictures), []
    for tracklet, clips in strips.groupby("tracklet", sort=False):
        frames = known[known["tracklet"] == tracklet]
        patches = pictures.patches[pictures.patches["tracklet"] == tracklet]
        seen = frames["visibility"]
        told = "" if seen.isna().all() else f", {percent(seen.min())} to {percent(seen.max())} % visible"
        names = (pictures.left, pictures.right)
        shown.append(
            Looked(
                title=f"{clips['dataset'].iloc[0]}, tracklet {tracklet}",
                told=f"identity {frames['identity'].iloc[0]}, {frames['place'].nunique()} frames{told}",
                clips=[_clip(strip, frames, names) for _, strip in clips.iterrows()],
                overlays=[_overlays(strip, frames, patches, names) for _, strip in clips.iterrows()],
            )
        )
    return shown


def _clip(strip: pd.Series, frames: pd.DataFrame, names: Sequence[str]) -> Markup:
    """One clip as SVG: its frames, how much of each is visible, and a row of bars for each network."""
    rows = frames[frames["clip"] == strip["clip"]].sort_values("place")
    wide, bottom = int(strip["width"]), int(strip["height"])
    width = wide * int(strip["frames"])
    content = f'<image href="{data_uri(bytes(strip["jpeg"]))}" width="{width}" height="{bottom}"/>'
    first = rows[rows["variant"] == names[0]]
    seen = ["?" if pd.isna(share) else f"{100 * share:.0f}" for share in first["visibility"]]
    bottom += TEXT + 2
    content += _numbers(seen, wide, bottom - 2, "seen")
    words = [f"visible {', '.join(seen)} per cent"]
    for line, name in enumerate(names, 1):
        own = rows[rows["variant"] == name]
        weights = [f"{100 * weight:.0f}" for weight in own["weight"]]
        content += _bars(own, wide, bottom, f"mark-{line}")
        bottom += BAR + TEXT + HEAD * len(own["heads"].iloc[0]) + 4
        content += _numbers(weights, wide, bottom - 4 - HEAD * len(own["heads"].iloc[0]), f"ink-{line}")
        words.append(f"{name} {', '.join(weights)} per cent")
    label = quoteattr(f"Clip {int(strip['clip']) + 1}: {'; '.join(words)}.")
    head = f'<svg class="clip" role="img" aria-label={label} width="{width}" height="{bottom}"'
    return Markup(f'{head} viewBox="0 0 {width} {bottom}">{content}</svg>')


def _bars(rows: pd.DataFrame, wide: int, start: int, kind: str) -> str:
    """A bar a frame, to the line where its weight is an even share; below it a row of cells a head."""
    parts = [f'<path d="M0 {start + BAR / 2}H{wide * len(rows)}" class="even"/>']
    for place, (even, heads) in enumerate(zip(rows["even"], rows["heads"], strict=True)):
        tall = BAR * min(even, 2) / 2
        left, across = f"{wide * (place + 0.1):.1f}", f"{0.8 * wide:.1f}"
        top = start + BAR - tall
        parts.append(f'<rect x="{left}" y="{top:.1f}" width="{across}" height="{tall:.1f}" class="{kind}"/>')
        for row, share in enumerate(heads):
            y = start + BAR + TEXT + 1 + HEAD * row
            cell = f'<rect x="{left}" y="{y}" width="{across}" height="{HEAD - 1}"'
            parts.append(f'{cell} class="{kind}" fill-opacity="{min(share, 1):.2f}"/>')
    return "".join(parts)


def _numbers(words: Sequence[str], wide: int, y: int, kind: str) -> str:
    """A number under each frame."""
    return "".join(
        f'<text x="{wide * (place + 0.5):.1f}" y="{y}" class="{kind}">{escape(word)}</text>'
        for place, word in enumerate(words)
    )


def _overlays(
    strip: pd.Series, frames: pd.DataFrame, patches: pd.DataFrame, names: Sequence[str]
) -> list[Film]:
    """The clip's frames, and again under each network's map; one scale for both networks."""
    places = frames.loc[(frames["clip"] == strip["clip"]) & (frames["variant"] == names[0]), "place"]
    top = float(patches["weight"].max())
    number = int(strip["clip"]) + 1
    films = [film(strip, f"Clip {number} as it is")]
    for name in names:
        own = patches[(patches["variant"] == name) & patches["place"].isin(places)]
        shape = (places.nunique(), own["row"].max() + 1, own["column"].max() + 1)
        weights = own.sort_values(["place", "row", "column"])["weight"].to_numpy().reshape(shape)
        shown = film(strip.copy(), f"Clip {number} under the weights of {name}: {_where(weights)}")
        jpeg = overlay(bytes(strip["jpeg"]), weights, top)
        films.append(Film(data_uri(jpeg), shown.width, shown.height, shown.words))
    return films


def _where(weights: Floats) -> str:
    """Weights [T, H, W] in words: which third of the picture's height they lie on."""
    thirds = [part.sum() for part in np.array_split(weights.sum(axis=(0, 2)) / weights.sum(), 3)]
    told = (
        f"{percent(share)} % {place}"
        for share, place in zip(thirds, ("top", "middle", "bottom"), strict=True)
    )
    return ", ".join(told)


def overlay(jpeg: bytes, weights: Floats, top: float) -> bytes:
    """Lay patch weights over a grey film strip: places with more than an even share glow.

    Args:
        jpeg: the strip, of T frames.
        weights: [T, H, W] of the patches, shown as coarse as they are; those of a frame sum to 1 or less.
        top: weight that glows most.

    Returns:
        A JPEG file of the same size.
    """
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"), float)
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
    content = io.BytesIO()
    Image.fromarray(mixed.round().astype(np.uint8)).save(content, "JPEG", quality=85, optimize=True)
    return content.getvalue()

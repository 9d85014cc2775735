"""Networks and tracklet stores -> what the report shows of them: attention, a map, film strips.

Used by the stage ``visualise`` alone; its tables are read by :mod:`sttreid.report.filmstrips`.
"""

import io
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from sttreid.model.network import Network
from sttreid.tracklets.clips import consecutive_clips, normalise
from sttreid.tracklets.store import Store

QUALITY = 85  # of JPEG, which is computed in integers: the same bytes on every processor

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]


def temporal_attention(network: Network, store: Store, tracklets: pd.DataFrame, batch: int) -> pd.DataFrame:
    """Attention of the temporal token on every frame of the test's clips, mean over layers.

    Args:
        network: with the branch stt, on any device.
        store: holds the frames.
        tracklets: rows of ``store.tracklets``.
        batch: number of clips embedded at once.

    Returns:
        A row for each frame: tracklet, identity, place (in the tracklet, from 0), clip (from 0), times (that
        the frame occurs: a short last clip repeats frames), heads (list of the heads' weights, of all times
        together), weight (their mean; the weights of a clip and ``token`` sum to 1), token (weight on the
        token itself), entropy (nats, of the 1 + T weights, mean over layers and heads) and visibility (0 to
        1, NaN where unknown).
    """
    visibility, rows = store.index["visibility"].to_numpy(), []
    for tracklet, clip, places, weights in _rows(network, "temporal", store, tracklets, batch):
        entropy = float(torch.special.entr(weights).sum(-1).mean())
        heads = weights.mean(0).numpy()  # [heads, 1 + T]
        for place in np.unique(places):
            of_frame = heads[:, 1:][:, places == place].sum(1)
            numbers = {"tracklet": int(tracklet.tracklet), "identity": int(tracklet.identity)}
            numbers |= {"place": int(place), "clip": clip, "times": int((places == place).sum())}
            shares = {"visibility": float(visibility[int(tracklet.start) + place]), "entropy": entropy}
            shares |= {"weight": float(of_frame.mean()), "token": float(heads[:, 0].mean())}
            rows.append({**numbers, **shares, "heads": of_frame.tolist()})
    return pd.DataFrame(rows)


def spatial_attention(network: Network, store: Store, tracklets: pd.DataFrame, batch: int) -> pd.DataFrame:
    """Attention of the spatial token on every patch; arguments as :func:`temporal_attention`.

    Returns:
        A row for each frame and patch: tracklet, place (in the tracklet, from 0), row and column (of the map,
            from 0) and weight (mean over layers and heads; those of a frame sum to 1 minus the weight of the
            token).
    """
    row, column = np.divmod(np.arange(np.prod(network.map_size)), network.map_size[1])
    tables = []
    for tracklet, _, places, weights in _rows(network, "spatial", store, tracklets, batch):
        for place, first in zip(*np.unique(places, return_index=True), strict=True):
            columns = {"tracklet": int(tracklet.tracklet), "place": int(place), "row": row, "column": column}
            tables.append(pd.DataFrame(columns | {"weight": weights[int(first)].mean((0, 1))[1:].numpy()}))
    return pd.concat(tables, ignore_index=True)


def most_occluded(frames: pd.DataFrame, count: int) -> list[int]:
    """The tracklets whose visibility changes most within a clip, at most one per identity.

    Args:
        frames: of :func:`temporal_attention`.
        count: at most so many; where no visibility is known, the first ones.
    """
    visibility = frames.groupby(["identity", "tracklet", "clip"])["visibility"]
    ranges = (visibility.max() - visibility.min()).fillna(0).groupby(["identity", "tracklet"]).max()
    ordered = ranges.reset_index().sort_values(["visibility", "tracklet"], ascending=[False, True])
    return [int(tracklet) for tracklet in ordered.drop_duplicates("identity")["tracklet"].head(count)]


def failures(queries: pd.DataFrame, count: int) -> list[int]:
    """Queries whose first answer is wrong, the lowest AP first, at most one per identity.

    Args:
        queries: a per-query table.
        count: at most so many.
    """
    wrong = queries[queries["ap"].notna() & (queries["first_hit"] != 1)].sort_values(["ap", "query"])
    return [int(query) for query in wrong.drop_duplicates("identity")["query"].head(count)]


def successes(queries: pd.DataFrame, count: int) -> list[int]:
    """Queries whose first answer is correct, evenly spaced in AP; arguments as :func:`failures`."""
    right = queries[queries["ap"].notna() & (queries["first_hit"] == 1)].sort_values(["ap", "query"])
    right = right.drop_duplicates("identity")["query"].to_numpy()
    return [int(query) for query in right[spread(len(right), count)]]


def draw(tracklets: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """All tracklets of identities that are drawn without replacement, in their own order.

    Args:
        tracklets: with the column identity.
        count: at most so many tracklets, but at least those of one identity.
        seed: of the order of the identities.
    """
    sizes = tracklets["identity"].value_counts().sort_index()
    order = np.random.default_rng([seed, len(tracklets)]).permutation(sizes.index)
    total = sizes.loc[order].cumsum()
    drawn = total.index[: max(1, int((total <= count).sum()))]
    return tracklets[tracklets["identity"].isin(drawn)].reset_index(drop=True)


def project(features: Floats, perplexity: float, seed: int) -> Floats:
    """t-SNE (van der Maaten and Hinton, JMLR 9, 2008) from principal components, in one thread.

    Args:
        features: [N, D] L2-normalised rows, N at least 3.
        perplexity: number of effective neighbours; lowered where there are too few points.
        seed: of the projection.

    Returns:
        [N, 2] between -1 and 1.
    """
    fitting = max(1.0, min(perplexity, (len(features) - 1) / 3))
    tsne = TSNE(2, perplexity=fitting, metric="euclidean", init="pca", random_state=seed, n_jobs=1)
    with threadpool_limits(1):
        points: Floats = tsne.fit_transform(features)
    points = points - (points.max(axis=0) + points.min(axis=0)) / 2
    return points / max(float(np.abs(points).max()), 1e-12)


def same_label_share(features: Floats, labels: NDArray[np.str_], neighbours: int) -> Floats:
    """[N] share of the nearest rows [N, D] that have the same label [N], the row itself left out."""
    similar = features @ features.T
    np.fill_diagonal(similar, -np.inf)
    nearest = np.argsort(-similar, axis=1, kind="stable")[:, : min(neighbours, len(features) - 1)]
    shares: Floats = (labels[nearest] == labels[:, None]).mean(axis=1)
    return shares


def spread(length: int, count: int) -> Integers:
    """At most ``count`` different indices below ``length``: the middles of even segments."""
    count = min(length, count)
    return (2 * np.arange(count) + 1) * length // (2 * max(count, 1))


def strips(
    store: Store,
    dataset: str,
    cuts: Iterable[tuple[int, int, Integers]],
    height: int,
    stacked: bool = False,
) -> pd.DataFrame:
    """Film strips of one data set.

    Args:
        store: holds the frames.
        dataset: its name.
        cuts: tracklet, clip (-1 for none) and places in the tracklet (from 0) of each strip.
        height: of a frame, in pixels; it keeps its proportions.
        stacked: frames are one below the other instead of side by side.

    Returns:
        A row for each strip: dataset, tracklet, clip, frames (number), width and height (of a frame), jpeg.
    """
    starts, rows = store.tracklets.set_index("tracklet")["start"], []
    for tracklet, clip, places in cuts:
        frames = store.frames[int(starts[tracklet]) + places]
        width = max(1, round(frames.shape[2] * height / frames.shape[1]))
        size = (width, height * len(frames)) if stacked else (width * len(frames), height)
        strip, content = Image.new("RGB", size), io.BytesIO()
        for number, frame in enumerate(frames):
            image = Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)
            strip.paste(image, (0, height * number) if stacked else (width * number, 0))
        strip.save(content, "JPEG", quality=QUALITY, optimize=True)
        place = {"dataset": dataset, "tracklet": tracklet, "clip": clip, "frames": len(frames)}
        rows.append(place | {"width": width, "height": height, "jpeg": content.getvalue()})
    return pd.DataFrame(rows)


@torch.inference_mode()
def _rows(
    network: Network, part: str, store: Store, tracklets: pd.DataFrame, batch: int
) -> Iterator[tuple[Any, int, Integers, Tensor]]:
    """Of each clip of each tracklet: the tracklet, the clip's number, its places [T], the class token's rows.

    Rows are float64, [layers, heads, 1 + T] of "temporal" and [T, layers, heads, 1 + N] of "spatial".
    """
    transformer: nn.Module = getattr(network.branches["stt"], part)
    network.eval()
    device, seen = next(network.parameters()).device, []
    hooks = (
        transformer.register_forward_pre_hook(lambda _, inputs: (inputs[0], "first")),
        transformer.register_forward_hook(lambda _, __, output: seen.append(output[-1])),
    )
    try:
        for tracklet in tracklets.itertuples(index=False):
            where = consecutive_clips(int(tracklet.length), network.frames)
            for start in range(0, len(where), batch):
                chosen = where[start : start + batch]
                clips = torch.empty((*chosen.shape, 3, *store.frames.shape[1:3]))
                for clip, places in zip(clips, chosen, strict=True):
                    normalise(store.frames[int(tracklet.start) + places], clip.numpy())
                network(clips.to(device))
                rows = seen.pop().double().cpu()
                rows = rows.unflatten(0, (len(chosen), -1)) if part == "spatial" else rows
                for number, places in enumerate(chosen):
                    yield tracklet, start + number, places, rows[number]
    finally:
        for hook in hooks:
            hook.remove()

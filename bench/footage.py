"""Search, strangers and linking on a pinned set, as if it were a user's footage.

    python -m bench.footage MODEL data/campus artifacts/tracklets/campus
    python -m bench.footage MODEL - artifacts/tracklets/campus --calibrate artifacts/tracklets/unreal

It embeds the set's videos (-: none) without its labels, compares rank-1 of ``search --all
--cross-camera-only`` with the evaluator's on the store's test tracklets, and prints speed beside bare
decoding, the open-set rates, and the scores of ``link``. The calibration uses the validation identities of
the stores after ``--calibrate`` (default: of the set itself), the rest the test identities and distractors.
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import sttreid.stages  # chooses the numeric path, before torch is loaded
from sttreid.data.videos import count_frames, frames
from sttreid.retrieval import Labels, evaluate, protocol
from sttreid.search.calibration import Calibration, Labelled, calibrate
from sttreid.search.gallery import Gallery
from sttreid.search.linking import link, score_identities
from sttreid.search.open_set import open_set
from sttreid.search.ranking import search
from sttreid.search.videos import EmbedSettings, embed_videos, refer_to
from sttreid.tracklets.store import Store

RATES = (0.01, 0.05, 0.10)
LINK_RATES = (0.001, 0.003, 0.01, 0.03)


def gallery_of_store(model: Any, store: Store, table: pd.DataFrame) -> Gallery:
    """The store's tracklets as a gallery; frames as in its videos, cameras as names of videos."""
    frame = store.index["frame"].to_numpy()
    first = frame[table["start"].to_numpy()]
    last = frame[(table["start"] + table["length"] - 1).to_numpy()]
    camera = "c" + table["camera"].astype(str)
    rows = pd.DataFrame({"video": camera + ".mp4", "camera": camera, "track": table["identity"].astype(str)})
    rows = rows.assign(
        first=first, last=last, start=first / 25, end=last / 25, boxes=table["length"].to_numpy()
    )
    rows = rows.assign(height=64.0, border=0.0, identity=table["identity"].astype(str).to_numpy(object))
    return Gallery(
        rows.reset_index(drop=True), sttreid.embed_store(model, store, table), refer_to(model, "m")
    )


def labelled(gallery: Gallery) -> Labelled:
    table = gallery.tracklets
    return Labelled(
        gallery.embeddings, table["identity"].to_numpy(object), table["camera"].astype(str).to_numpy(object)
    )


def processor_seconds() -> float:
    """Of this process and of those that decoded for it and have ended."""
    return sum(os.times()[:4])


def embed_footage(model: Any, folder: Path) -> tuple[Gallery, dict[str, float]]:
    """The gallery of a folder of videos, and the speed."""
    videos = sorted(folder.glob("*.mp4"))
    counts = [count_frames(video) for video in videos]
    begin = processor_seconds()
    for video, count in zip(videos, counts, strict=True):
        for _ in frames(video, count):
            pass
    decoding = processor_seconds() - begin
    begin = processor_seconds()
    gallery = embed_videos(model, videos, settings=EmbedSettings(max_frame_gap=3))
    embedding = processor_seconds() - begin
    return gallery, {
        "tracklets per second": len(gallery) / embedding,
        "boxes per second": int(gallery.tracklets["boxes"].sum()) / embedding,
        "frames per second": sum(counts) / embedding,
        "frames per second, decoding alone": sum(counts) / decoding,
    }


def compare_rank1(model: Any, store: Store, gallery: Gallery) -> dict[str, float]:
    """Rank-1 of a search among the test tracklets, and of the evaluator."""
    table = store.gallery()
    frame = store.index["frame"].to_numpy()[table["start"].to_numpy()]
    wanted = {
        (f"c{camera}", str(identity), int(first)): (str(identity), bool(query))
        for camera, identity, first, query in zip(
            table["camera"], table["identity"], frame, table["query"], strict=True
        )
    }
    columns = gallery.tracklets[["camera", "track", "first"]].itertuples(index=False, name=None)
    keys = [tuple(key) for key in columns]
    rows = np.array([row for row, key in enumerate(keys) if key in wanted])
    assert len(rows) == len(wanted)
    identities = pd.Series([wanted[keys[row]][0] for row in rows], dtype=object)
    part = gallery.take(rows)
    part = replace(part, tracklets=part.tracklets.assign(identity=identities))
    queries = [number for number, row in enumerate(rows) if wanted[keys[row]][1]]
    found = search(queries, part, 1, cross_camera_only=True)
    features = sttreid.embed_store(model, store, table)
    rules = replace(protocol("embedded"), name="other cameras", excluded="same camera")
    labels = Labels(table["identity"], table["camera"], query=table["query"])
    result = evaluate(
        features[table["query"].to_numpy()],
        features,
        labels.take(np.flatnonzero(table["query"])),
        labels,
        rules,
    )
    return {
        "rank-1 of search": float(np.mean([one.answers[0].correct for one in found])),
        "rank-1 of the evaluator": result.rank1,
        "queries": len(queries),
    }


def reliability(gallery: Gallery, calibration: Calibration) -> list[list[float]]:
    """Of all pairs in two cameras, by predicted probability: mean prediction, true share, pairs."""
    from sttreid.search.calibration import pair_distances

    same, different = pair_distances(labelled(gallery))
    others = round(2 * (len(same) + len(different)) / len(gallery))
    chance = calibration.probability(np.concatenate([same, different]), others)
    truth = np.arange(len(chance)) < len(same)
    edges = np.array([0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.01])
    bins = np.digitize(chance, edges) - 1
    return [
        [float(chance[bins == b].mean()), float(truth[bins == b].mean()), int((bins == b).sum())]
        for b in range(len(edges) - 1)
        if (bins == b).any()
    ]


def measure(
    path: Path, videos: Path | None, store_path: Path, calibrate_on: Sequence[Path]
) -> dict[str, Any]:
    """All figures of a model on a set: of its videos, if wanted, and of the tracklets of its store."""
    model, store = sttreid.load_model(path), sttreid.open_store(store_path)
    result: dict[str, Any] = {"model": path.name, "set": store_path.name}
    if videos is not None:
        gallery, speed = embed_footage(model, videos)
        result |= speed | compare_rank1(model, store, gallery)
    sources = [sttreid.open_store(each) for each in calibrate_on]
    sets = [labelled(gallery_of_store(model, source, source.of_split("validation"))) for source in sources]
    test = gallery_of_store(model, store, store.gallery())
    for rate in LINK_RATES:
        found = calibrate(sets, test.model.sha256, "validation", rendered=True, rate=rate)
        opened = open_set(labelled(test), RATES, threshold=found.threshold)
        scores = score_identities(
            test.tracklets["identity"].tolist(),
            link(test, calibration=found).tolist(),
            test.tracklets["boxes"],
        )
        result[f"false-match rate {rate}"] = {
            "threshold": found.threshold,
            "open set": vars(opened),
            "link": vars(scores),
            "strange": float((found.strangeness(test.embeddings) > found.limit).mean()),
        }
    return result | {"calibration": found.summary(), "reliability": reliability(test, found)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("videos", type=Path, help="a folder of rendered videos; -: none")
    parser.add_argument("store", type=Path)
    parser.add_argument("--calibrate", type=Path, nargs="*", default=None)
    options = parser.parse_args(arguments)
    videos = None if str(options.videos) == "-" else options.videos
    result = measure(options.model, videos, options.store, options.calibrate or [options.store])
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

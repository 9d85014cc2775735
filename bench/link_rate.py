"""Which false-match rate links best, on validation identities alone.

    python -m bench.link_rate artifacts/models/cross_domain/0 artifacts/tracklets

Each target has its own model, FOLDER/TARGET.pt, and its store. The validation identities are split by lot,
many times: a calibration is fitted on some, with each rate, and the tracklets of the others are linked with
its threshold. The best rate has the largest mean F1 of pairs over splits and targets. It falls with the size
of the gallery, so it is found for several sizes, and printed with the number of false matches per tracklet
that it lets pass: rate x tracklets in other cameras. If this number does not depend on the size, it gives the
rate for any gallery: ``RATE`` of ``sttreid.search.calibration`` is that of 500 tracklets in six cameras.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import sttreid.stages  # chooses the numeric path, before torch is loaded
from bench.footage import gallery_of_store, labelled
from sttreid.search.calibration import calibrate
from sttreid.search.gallery import Gallery
from sttreid.search.linking import link, score_identities

RATES = (0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1)
SHARES = (0.25, 0.5, 0.75)  # of the people who are linked
SPLITS = 10
NAMES = ("f1", "precision", "recall", "idf1")


def split(gallery: Gallery, share: float, seed: int) -> tuple[Gallery, Gallery]:
    """The tracklets of a share of the people, by lot, and those of the others."""
    people = np.random.default_rng(seed).permutation(gallery.tracklets["identity"].unique())
    first = gallery.tracklets["identity"].isin(people[: round(share * len(people))]).to_numpy()
    return gallery.take(np.flatnonzero(first)), gallery.take(np.flatnonzero(~first))


def others(gallery: Gallery) -> float:
    """Mean number of tracklets in other cameras."""
    sizes = gallery.tracklets["camera"].value_counts()
    return float(len(gallery) - (sizes**2).sum() / len(gallery))


def scores(fitted: Gallery, linked: Gallery, rates: Sequence[float]) -> list[list[float]]:
    """[rates, NAMES] of linking a gallery with the thresholds of calibrations on other people."""
    rows, table = [], linked.tracklets
    for rate in rates:
        found = calibrate([labelled(fitted)], fitted.model.sha256, "validation", rendered=True, rate=rate)
        identities = link(linked, calibration=found).tolist()
        result = score_identities(table["identity"].tolist(), identities, table["boxes"].to_numpy())
        rows.append([getattr(result, name) for name in NAMES])
    return rows


def measure(
    galleries: Sequence[Gallery], shares: Sequence[float], rates: Sequence[float], splits: int
) -> list[dict[str, Any]]:
    """For each share of linked people the size of the gallery, the scores of each rate and the best rate."""
    result = []
    for share in shares:
        pairs = [split(gallery, share, seed) for gallery in galleries for seed in range(splits)]
        mean = np.mean([scores(fitted, linked, rates) for linked, fitted in pairs], axis=0)
        best = rates[int(mean[:, 0].argmax())]
        number = float(np.mean([others(linked) for linked, _ in pairs]))
        result.append(
            {
                "tracklets": float(np.mean([len(linked) for linked, _ in pairs])),
                "of these in other cameras": number,
                "best rate": best,
                "false matches per tracklet": best * number,
                "rates": {
                    f"{rate:g}": dict(zip(NAMES, row.round(4).tolist(), strict=True))
                    for rate, row in zip(rates, mean, strict=True)
                },
            }
        )
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, help="a folder with a model of each target")
    parser.add_argument("stores", type=Path, help="a folder with a store of each target")
    parser.add_argument("--targets", nargs="+", default=["campus", "winter", "station"])
    parser.add_argument("--splits", type=int, default=SPLITS)
    options = parser.parse_args(arguments)
    galleries = []
    for target in options.targets:
        model = sttreid.load_model(options.models / f"{target}.pt")
        store = sttreid.open_store(options.stores / target)
        galleries.append(gallery_of_store(model, store, store.of_split("validation")))
    print(json.dumps(measure(galleries, SHARES, RATES, options.splits), indent=1))


if __name__ == "__main__":
    main()

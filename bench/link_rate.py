"""Which false-match rate links best, on validation identities alone.

    python -m bench.link_rate artifacts/models/cross_domain/0 artifacts/tracklets

Each target has its own model, FOLDER/TARGET.pt, and its store. The validation identities are split by lot
into two halves, many times: a calibration is fitted on one half, with each rate, and the tracklets of the
other half are linked with its threshold. Printed are the means over splits of the scores of ``link``, for
each target and over all. ``RATE`` of ``sttreid.search.calibration`` is the rate with the best mean.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import sttreid.stages  # chooses the numeric path, before torch is loaded
from bench.footage import gallery_of_store, labelled
from sttreid.search.calibration import Labelled, calibrate
from sttreid.search.gallery import Gallery
from sttreid.search.linking import link, score_identities

RATES = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05)
SPLITS = 20


def halves(gallery: Gallery, seed: int) -> tuple[Gallery, Gallery]:
    """The tracklets of one half of the people, by lot, and those of the others."""
    people = np.random.default_rng(seed).permutation(gallery.tracklets["identity"].unique())
    first = gallery.tracklets["identity"].isin(people[: len(people) // 2]).to_numpy()
    return gallery.take(np.flatnonzero(first)), gallery.take(np.flatnonzero(~first))


def scores(fitted: Labelled, linked: Gallery, rate: float) -> dict[str, float]:
    """Scores of linking a gallery with the threshold of a calibration on other people."""
    found = calibrate([fitted], linked.model.sha256, "validation", rendered=True, rate=rate)
    table = linked.tracklets
    identities = link(linked, calibration=found).tolist()
    return vars(score_identities(table["identity"].tolist(), identities, table["boxes"].to_numpy()))


def measure(gallery: Gallery, rates: Sequence[float], splits: int) -> dict[str, dict[str, float]]:
    """Rate -> mean scores over splits, each half once linked."""
    result = {}
    for rate in rates:
        found = [
            scores(labelled(fitted), linked, rate)
            for seed in range(splits)
            for pair in [halves(gallery, seed)]
            for fitted, linked in (pair, pair[::-1])
        ]
        result[f"{rate:g}"] = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
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
    result: dict[str, Any] = {}
    for target in options.targets:
        model = sttreid.load_model(options.models / f"{target}.pt")
        store = sttreid.open_store(options.stores / target)
        gallery = gallery_of_store(model, store, store.of_split("validation"))
        result[target] = {"tracklets": len(gallery), "people": int(gallery.tracklets["identity"].nunique())}
        result[target] |= measure(gallery, RATES, options.splits)
    for rate in map("{:g}".format, RATES):
        names = result[options.targets[0]][rate]
        result[rate] = {
            name: float(np.mean([result[target][rate][name] for target in options.targets])) for name in names
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

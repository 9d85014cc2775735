"""Stage ``compare``: crops of each pair of data sets -> their separability, metrics/domains.json."""

from sttreid.analysis.domain_shift import sample_crops, separate_all
from sttreid.config import fingerprint, paths
from sttreid.config.datasets import Compare, Dataset, Decode
from sttreid.config.fingerprint import FINGERPRINT
from sttreid.config.params import Simulate
from sttreid.runtime.files import write_json
from sttreid.stages.command import run
from sttreid.tracklets.store import open_store


def main(
    datasets: dict[str, Dataset], simulate: Simulate, decode: Decode, targets: list[str], compare: Compare
) -> None:
    """Compare the targets and the synthetic set; no network is needed."""
    samples = {
        name: sample_crops(open_store(paths.tracklets(name)), compare.crops, compare.seed)
        for name in (*targets, simulate.domain)
    }
    made_by = fingerprint.of_comparison(datasets, decode, simulate, targets, compare)
    found = separate_all(samples, compare.folds, compare.seed)
    write_json(paths.METRICS / "domains.json", {FINGERPRINT: made_by, **found})


if __name__ == "__main__":
    run(main)

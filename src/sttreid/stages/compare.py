"""Stage ``compare``: crops of each pair of data sets -> their separability, metrics/domains.json."""

from sttreid.analysis.domain_shift import sample_crops, separate_all
from sttreid.config import paths
from sttreid.config.datasets import Compare
from sttreid.config.params import Simulate
from sttreid.runtime.files import write_json
from sttreid.stages.command import run
from sttreid.tracklets.store import open_store


def main(simulate: Simulate, targets: list[str], compare: Compare) -> None:
    """Compare the targets and the synthetic set; no network is needed."""
    samples = {
        name: sample_crops(open_store(paths.tracklets(name)), compare.crops, compare.seed)
        for name in (*targets, simulate.domain)
    }
    write_json(paths.METRICS / "domains.json", separate_all(samples, compare.folds, compare.seed))


if __name__ == "__main__":
    run(main)

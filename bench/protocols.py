"""One set of features under every protocol: `python -m bench.protocols`.

The features are drawn at random with the counts of MARS (bench/trial.py). Nothing but the protocol changes
from row to row.
"""

import tempfile
from pathlib import Path

from bench.trial import MARS, Trial, generate, load
from sttreid.retrieval import Labels, Result, evaluate, protocol

NAMES = ("mars-official", "market", "minus-queries", "no-distractors", "minus-queries-no-distractors")


def score(trial: Trial) -> list[Result]:
    """One result a protocol."""
    asked = trial.query
    query = Labels(trial.identity[asked], trial.camera[asked])
    gallery = Labels(trial.identity, trial.camera, trial.query, trial.distractor, trial.junk)
    return [evaluate(trial.queries, trial.features, query, gallery, protocol(name)) for name in NAMES]


def table(results: list[Result]) -> str:
    """A Markdown table."""
    lines = [
        "| protocol | queries counted | without a match | gallery | mAP | rank-1 |",
        "|:--|" + "--:|" * 5,
    ]
    lines += [
        f"| `{one.protocol.name}` | {one.queries} | {one.unmatched} | {one.gallery} | {100 * one.mAP:.2f} |"
        f" {100 * one.rank1:.2f} |"
        for one in results
    ]
    return "\n".join(lines)


def main() -> None:
    """Draws, scores and prints."""
    with tempfile.TemporaryDirectory() as name:
        generate(MARS, Path(name))
        print(table(score(load(Path(name), False))))


if __name__ == "__main__":
    main()

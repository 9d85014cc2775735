"""The same features under several protocols: `python -m bench.protocols`.

The features are drawn at random with the counts of MARS (bench/evaluation_set.py). Rows differ in the
protocol only.
"""

import argparse
import tempfile
from pathlib import Path

from bench.evaluation_set import MARS, EvaluationSet, generate, load
from sttreid.retrieval import Labels, Result, evaluate, protocol

NAMES = ("mars-official", "market", "minus-queries", "no-distractors", "minus-queries-no-distractors")


def score(data: EvaluationSet) -> list[Result]:
    """One result per protocol."""
    query = Labels(data.identity[data.query], data.camera[data.query])
    gallery = Labels(data.identity, data.camera, data.query, data.distractor, data.junk)
    return [evaluate(data.queries, data.features, query, gallery, protocol(name)) for name in NAMES]


def table(results: list[Result]) -> str:
    """A Markdown table."""
    lines = [
        "| protocol | queries counted | without a match | gallery | mAP | rank-1 |",
        "|:--|" + "--:|" * 5,
    ]
    lines += [
        f"| `{result.protocol.name}` | {result.queries} | {result.unmatched} | {result.gallery} |"
        f" {100 * result.mAP:.2f} | {100 * result.rank1:.2f} |"
        for result in results
    ]
    return "\n".join(lines)


def main() -> None:
    """Generate, evaluate and print."""
    argparse.ArgumentParser(prog="python -m bench.protocols", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        generate(MARS, Path(name))
        print(table(score(load(Path(name), False))))


if __name__ == "__main__":
    main()

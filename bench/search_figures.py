"""The figures of docs/search.md that depend on the model, as its tables.

    models=artifacts/models/cross_domain/0
    python -m bench.search_figures $models/campus.pt $models/unreal.pt

The first model searches, links and meets strangers on campus, which it was fine-tuned on, from the videos;
the second, which saw only unreal, on the store of winter. Both runs are those of bench.footage.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.footage import LINK_RATES, measure

PAIRS = ("pairs: precision", "recall", "F1")

Found = Mapping[str, Any]  # of bench.footage.measure


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def speed_table(found: Found) -> str:
    """Rank-1 and speed, of a run with videos."""
    queries = found["queries"]
    speed = [f"{found[f'{what} per second']:.0f} {what}/s" for what in ("tracklets", "boxes", "frames")]
    rows = {
        f"rank-1 of `search --all --cross-camera-only`, {queries} queries": percent(
            found["rank-1 of search"], 1
        ),
        "rank-1 of the evaluator on the same tracklets, same camera excluded": percent(
            found["rank-1 of the evaluator"], 1
        ),
        "embedding, per core": ", ".join(speed),
        "decoding alone (decord), per core": f"{found['frames per second, decoding alone']:.0f} frames/s",
    }
    return "\n".join(["| measure | value |", "|:--|--:|", *(f"| {a} | {b} |" for a, b in rows.items())])


def strangers(found: Found) -> str:
    """DIR at rates of false alarms."""
    opened = found[f"false-match rate {LINK_RATES[0]}"]["open set"]
    rates = ", ".join(
        f"{percent(detected)} at FAR {percent(rate)}"
        for rate, detected in zip(opened["rates"], opened["detection"], strict=True)
    )
    return f"{found['model']} on {found['set']}: DIR {rates}, of a rank-1 of {percent(opened['rank1'])}."


def link_table(found: Found) -> str:
    """Strangers and identities at calibrated thresholds."""
    names = ("false-match rate of pairs", "threshold", "FAR", "DIR", "IDF1 of `link`", *PAIRS)
    lines = [f"| {' | '.join(names)} |", f"|{'--:|' * len(names)}"]
    for rate in LINK_RATES:
        one = found[f"false-match rate {rate}"]
        opened, link = one["open set"], one["link"]
        cells = [f"{100 * rate:g} %", f"{one['threshold']:.3f}"]
        cells += [percent(opened[f"threshold_{name}"]) for name in ("alarms", "detection")]
        cells += [percent(link["idf1"], 1), *(percent(link[name]) for name in ("precision", "recall", "f1"))]
        lines.append(f"| {' | '.join(cells)} |")
    strange = percent(found[f"false-match rate {LINK_RATES[0]}"]["strange"], 1)
    return "\n".join([*lines, "", f"Remark on far queries: {strange} of the tracklets."])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("own", type=Path, help="a model that was fine-tuned on campus")
    parser.add_argument("direct", type=Path, help="a model that saw unreal alone")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--tracklets", type=Path, default=Path("artifacts/tracklets"))
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    options = parser.parse_args(arguments)
    campus, winter, unreal = (options.tracklets / name for name in ("campus", "winter", "unreal"))
    own = measure(options.own, options.data / "campus", campus, [campus])
    direct = measure(options.direct, None, winter, [unreal])
    if options.json:
        options.json.write_text(json.dumps([own, direct], indent=1))
    print(
        "\n\n".join(
            [speed_table(own), strangers(own), link_table(own), strangers(direct), link_table(direct)]
        )
    )


if __name__ == "__main__":
    main()

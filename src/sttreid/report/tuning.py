"""A search's trials -> for each arm the one that knows validation identities best; the test is not read."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sttreid.report.summary import DIGITS, Content
from sttreid.report.tables import markdown, percent


def trials(cells: Mapping[tuple[str, str], Sequence[Content]], fitted: float) -> pd.DataFrame:
    """One row an arm and trial.

    Args:
        cells: (arm, trial) -> its results, one a seed, with train_rank1 and validation_rank1 (0 to 1) as of
            :func:`sttreid.report.summary.complete`.
        fitted: rank-1 on its training identities that a trial must reach with every seed.

    Returns:
        arm, trial, validation_rank1 (mean over seeds), train_rank1 (the lowest), fits, and chosen: of an
        arm's trials that fit, or of all if none does, the best on validation; of equal ones the first.
    """
    rows = [
        {
            "arm": arm,
            "trial": trial,
            "validation_rank1": sum(cell["validation_rank1"] for cell in seeds) / len(seeds),
            "train_rank1": min(cell["train_rank1"] for cell in seeds),
        }
        for (arm, trial), seeds in cells.items()
    ]
    table = pd.DataFrame(rows)
    table["fits"] = table["train_rank1"] >= fitted
    ranked = table.sort_values(["fits", "validation_rank1"], ascending=False, kind="stable")
    best = ranked.groupby("arm").head(1).index
    return table.assign(chosen=table.index.isin(best))


def content(table: pd.DataFrame, seeds: int) -> dict[str, Any]:
    """Content of ``tuning.json``: arm -> trial -> accuracies, and the chosen trial; from :func:`trials`."""
    arms: dict[str, Any] = {}
    for row in table.to_dict("records"):
        place = arms.setdefault(row["arm"], {})
        looks = ("validation_rank1", "train_rank1")
        place[row["trial"]] = {name: round(row[name], DIGITS) for name in looks}
        if row["chosen"]:
            place["chosen"] = row["trial"]
    return {"seeds": seeds, "arms": arms}


def page(table: pd.DataFrame, source: str, seeds: Sequence[int], fitted: float) -> str:
    """The trials as a Markdown page; arguments as above."""
    rows = []
    for arm, group in table.groupby("arm", sort=False):
        cells = [_cell(row) for row in group.to_dict("records")]
        rows.append([str(arm), *cells])
    header = ["arm", *table["trial"].unique()]
    told = (
        f"Trained on {source}, with the seeds {', '.join(map(str, seeds))}: rank-1 in per cent on validation"
        " identities and, behind the stroke, the lowest on training identities. No test was run. Every arm"
        f" has the same trials; bold is the best on validation among those that fit {percent(fitted)} %"
        " of the training identities (among all, if none does)."
    )
    return "\n\n".join(("# Search for rates", told, markdown(header, rows))) + "\n"


def _cell(row: Mapping[str, Any]) -> str:
    cell = f"{percent(row['validation_rank1'])} / {percent(row['train_rank1'])}"
    return f"**{cell}**" if row["chosen"] else cell

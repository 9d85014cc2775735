"""Learning curves as Markdown, as a table for plots and as an HTML page with charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from sttreid.config.claims import Contrast
from sttreid.report import charts
from sttreid.report.arms import Study
from sttreid.report.blocks import Figure, Section, chart
from sttreid.report.curves import (
    CROSS_DOMAIN,
    DIRECT,
    FINETUNE,
    GAP,
    IN_DOMAIN,
    SETTINGS,
    TRAINING,
    VALIDATION,
    Curve,
    differences,
    fitted,
    levels,
    slopes,
)
from sttreid.report.document import document, told
from sttreid.report.effects import Effect
from sttreid.report.tables import NONE, gained, markdown, percent, protocols_phrase

HEADING = "Accuracy and the number of identities"
TOLD = {
    TRAINING: "training identities",
    VALIDATION: "validation identities",
    IN_DOMAIN: "test, in-domain",
    GAP: "gap, training to test",
    CROSS_DOMAIN: "test, cross-domain",
    DIRECT: "direct transfer",
}
WHOSE = {"pretrain": "the synthetic", "finetune": "the source's"}


@dataclass(frozen=True, eq=False)
class Told:
    """What the pages tell of.

    Attributes:
        found: all arms and seeds.
        curves: one a variant.
        contrasts: pairs of variants.
        side: whose identities are counted, "pretrain" or "finetune".
        protocol: target -> name of its protocol.
    """

    found: Study
    curves: Sequence[Curve]
    contrasts: Mapping[str, Contrast]
    side: str
    protocol: Mapping[str, str]


def page(one: Told) -> str:
    """What was run, every point, the slopes, and the differences between variants."""
    seeds = ", ".join(map(str, one.found.seeds))
    run = (
        f"Trained on {one.found.source}, tested on {', '.join(one.found.targets)},"
        f" {protocols_phrase(one.protocol)}, seeds {seeds}. Counted are {WHOSE[one.side]} identities that"
        " were learnt; each seed draws which, fewer always among more. All points of a variant are trained"
        " for as many steps. Rank-1 in per cent, with 95 % intervals over seeds and, where a test was run,"
        " its people."
    )
    parts = [f"# {HEADING}", run, "## Points", _points(one), point_table(one)]
    parts += [
        "## Slopes",
        "Points of rank-1 that a doubling of the identities brings, least squares. Nothing is judged here:"
        " p is not corrected for the number of tests.",
        slope_table(one),
    ]
    if rows := difference_rows(one):
        header = ["comparison", "identities", *TOLD.values()]
        parts += [
            "## Differences",
            "The first variant less the second, in points, on the same queries with the same seeds; p as"
            " above.",
            markdown(header, rows, left=2),
        ]
    return "\n\n".join(parts) + "\n"


def _points(one: Told) -> str:
    fit = (
        "Training identities are those that all points of a seed have learnt, so that each point has the same"
        " test."
        if one.side == FINETUNE
        else "Training identities are those of the source."
    )
    return (
        f"{fit} A point below {percent(one.found.fitted)} % there with any seed is marked *: it has not"
        " fitted what it learnt. Where nothing varies there is no interval."
    )


def point_table(one: Told) -> str:
    """One row a variant and number of identities."""
    table, fits = levels(one.found, one.curves), fitted(one.found, one.curves)
    rows = []
    for (arm, identities), own in table.groupby(["arm", "identities"], sort=False):
        by = own.set_index("setting")
        cells = [_level(by.loc[setting]) if setting in by.index else NONE for setting in SETTINGS]
        mark = "" if fits[str(arm), int(identities)] else "*"
        rows.append([str(arm), f"{identities}{mark}", *cells])
    return markdown(["variant", "identities", *TOLD.values()], rows)


def slope_table(one: Told) -> str:
    """One row a variant."""
    by: dict[str, dict[str, Effect]] = {}
    for arm, setting, effect in slopes(one.found, one.curves):
        by.setdefault(arm, {})[setting] = effect
    rows = [[arm, *(_effect(own.get(setting)) for setting in SETTINGS)] for arm, own in by.items()]
    return markdown(["variant", *TOLD.values()], rows)


def difference_rows(one: Told) -> list[list[str]]:
    """One row a comparison and number of identities, and one for the slopes."""
    by: dict[tuple[str, str], dict[str, Effect]] = {}
    for name, place, setting, effect in differences(one.found, one.curves, one.contrasts):
        contrast = one.contrasts[name]
        by.setdefault((f"{contrast.ours} against {contrast.theirs}", place), {})[setting] = effect
    return [[*place, *(_effect(own.get(setting)) for setting in SETTINGS)] for place, own in by.items()]


def site(one: Told) -> str:
    """The same as HTML, with a chart for each quantity."""
    prose = told(page(one))
    table = levels(one.found, one.curves)
    seeds = f"seeds {', '.join(map(str, one.found.seeds))}"
    figures = [
        _figure(one, own, str(setting), seeds) for setting, own in table.groupby("setting", sort=False)
    ]
    intro = prose.pop(HEADING)
    drawn: dict[str, Sequence[Figure]] = {"Points": figures}
    return document(
        HEADING, intro, [Section(name, body, drawn.get(name, ())) for name, body in prose.items()]
    )


def _figure(one: Told, own: pd.DataFrame, setting: str, seeds: str) -> Figure:
    said = f"No queries of the test; {seeds}."
    if setting not in (TRAINING, VALIDATION):
        phrase = protocols_phrase(one.protocol)
        said = f"{phrase[0].upper()}{phrase[1:]}; {one.found.scope}."
    words = "; ".join(f"{r['arm']}, {r['identities']}: {_level(r)}" for r in own.to_dict("records"))
    svg = charts.growth(own.rename(columns={"arm": "name"}), "identities", ("identities", "rank-1"))
    caption = f"Over the number of {WHOSE[one.side]} identities, which doubles with each step of the axis."
    return chart(svg, f"Rank-1: {TOLD[setting]}", f"{words}.", caption, said)


def _level(row: "Mapping[str, float] | pd.Series[float]") -> str:
    value, low, high = (percent(row[name]) for name in ("value", "low", "high"))
    return value if low == "nan" else f"{value} [{low}, {high}]"


def _effect(one: Effect | None) -> str:
    if one is None:
        return NONE
    tested = "" if one.p is None else f", p {one.p:.2g}"
    return f"{gained(one.value, one.low, one.high)}{tested}"

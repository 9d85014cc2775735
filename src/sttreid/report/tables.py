"""Long tables -> Markdown tables; rates become per cent with one decimal, always mAP before rank-1."""

from collections.abc import Mapping, Sequence

import pandas as pd

from sttreid.analysis.uncertainty import ENOUGH_PEOPLE, ENOUGH_SEEDS, Difference, Interval
from sttreid.report.evidence import Cell, Evidence, cells_of
from sttreid.report.summary import BASELINES, COUNTS, LOOKS, SETTINGS, STEPS, lowest_fit

NONE = "-"
PAIR = "mAP / R-1"

FALSE_ALARMS = (
    "two models that do not differ are told apart in more than 5 % of all cases, up to half with 2 seeds"
)

LATER, SUMMARY = "tables of TF-CLIP and CLIMB-ReID", "a summary of the paper"

# What the literature reports for the paper (arXiv 2103.16469), and where that number was read.
PAPER = (
    ("MARS, trained and tested on it", LATER, "86.3 / 88.7"),
    ("LS-VID, trained and tested on it", LATER, "78.0 / 87.5"),
    ("iLIDS-VID, trained and tested on it", LATER, f"{NONE} / 87.5"),
    ("MARS → DukeMTMC-VideoReID, without the spatial constraint", SUMMARY, f"{NONE} / 50.6"),
    ("MARS → DukeMTMC-VideoReID, with the spatial constraint", SUMMARY, f"{NONE} / 60.5"),
    ("DukeMTMC-VideoReID, gained by the global branch", SUMMARY, f"{NONE} / about +3.9"),
    ("gained by synthetic pre-training, on all three sets", SUMMARY, "not known"),
    ("all other rows of its ablation", NONE, "not known"),
)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A pipe table whose first ``left`` columns are set left and the others right; ends without a newline.

    A ``|`` inside a cell is escaped.
    """
    rule = [":--" if column < left else "--:" for column in range(len(header))]
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (lines[0], rule, *lines[1:]))


def cross_domain_table(table: pd.DataFrame, known: Evidence, targets: Sequence[str]) -> str:
    """Who trained on what (rows) scores how much where (columns); in-domain cells are bold.

    Args:
        table: of :func:`sttreid.report.summary.matrix`.
        known: the per-query results behind it.
        targets: columns, in this order.
    """
    rows = []
    for source in table["source"].unique():
        cells = [pair(known, [(source, target)]) for target in targets]
        marked = [f"**{c}**" if source == t else c for c, t in zip(cells, targets, strict=True)]
        rows.append([source, *marked])
    return markdown(["trained on", *(f"{target}, {PAIR}" for target in targets)], rows)


def means_table(table: pd.DataFrame, known: Evidence, synthetic: str) -> str:
    """One row a setting: the mean over its cells, each data set and seed alike; arguments as above."""
    told = {
        "in_domain": "in-domain: tested on unseen people of the training set",
        "cross_domain": "cross-domain: trained on one target, tested on another",
        "direct_transfer": f"direct transfer: trained on {synthetic} alone",
        "untrained": "untrained: random weights",
        "histogram": "histogram: colours in stripes, nothing learnt",
        "equalised": "equalised: the same, each channel equalised within a tracklet",
    }
    present = [name for name in SETTINGS if name in set(table["setting"])]
    rows = [[told[name], pair(known, cells_of(table, name, "source"))] for name in present]
    return markdown(["setting", PAIR], rows)


def counts_table(table: pd.DataFrame) -> str:
    """One row a target: queries that count, queries without a match, tracklets that answer, how many of these
    are distractors, how many the protocol takes away, and junk.
    """
    first = table.groupby("target", sort=False)[list(COUNTS)].first()
    rows = [[str(target), *(str(row[name]) for name in COUNTS)] for target, row in first.iterrows()]
    header = ["queries", "without a match", "gallery", "of these distractors", "left out", "junk removed"]
    return markdown(["tested on", *header], rows)


def shift_table(table: pd.DataFrame, known: Evidence) -> str:
    """One row a source and target: how well their crops are told apart, and what the step between them costs.

    Args:
        table: of :func:`sttreid.report.summary.shifts`.
        known: the per-query results behind it.
    """
    rows = []
    for (source, target), seeds in table.groupby(["source", "target"], sort=False):
        first = seeds.iloc[0]
        apart = f"{percent(first['accuracy'])} ± {percent(first['standard_error'])}"
        own, other = [(target, target)], [(source, target)]
        drop = known.difference(own, other, "rank1")
        rates = [known.interval(cells, "rank1") for cells in (own, other)]
        rows.append([source, target, apart, *(bracket(one) for one in rates), marked(drop)])
    header = ["trained on", "tested on", "told apart", "own model, R-1", "this model, R-1", "drop, points"]
    return markdown(header, rows, left=2)


def ablation_table(table: pd.DataFrame, known: Evidence, fitted: float) -> str:
    """One row a variant; an arm that does not fit its training identities is marked, since it tells nothing.

    Args:
        table: of :func:`sttreid.report.summary.arms`.
        known: the per-query results behind it.
        fitted: rank-1 on its training identities (0 to 1) that a variant must reach with every seed.
    """
    looks = table.groupby("variant")[[*STEPS, *LOOKS]].mean()
    told = table.groupby("variant")["composition"].first()
    fits = lowest_fit(table)
    rows = []
    for variant in table["variant"].unique():
        cells = [
            cells_of(table[table["variant"] == variant], setting, "variant")
            for setting in ("in_domain", "cross_domain")
        ]
        pairs = [pair(known, some) if some else NONE for some in cells]
        look = looks.loc[variant]
        seen = [percent(look["train_rank1"]), percent(look["validation_rank1"]), *pairs]
        before = f"{look['pretrain_steps']:.0f} + " if look["pretrain_steps"] else ""
        steps = f"{before}{look['steps']:.0f}"
        rows.append([variant, told[variant], verdict(fits[variant], fitted), steps, *seen])
    header = ["variant", "made of", "comparable", "steps", "train R-1", "validation R-1"]
    return markdown([*header, f"in-domain, {PAIR}", f"cross-domain, {PAIR}"], rows, left=3)


def paper_table() -> str:
    """What the paper is known to report, on data sets that are not this repository's."""
    return markdown(["the paper's data and setting", "read in", PAIR], PAPER, left=2)


def verdict(fit: float, fitted: float) -> str:
    """Whether a variant may be compared with others that are."""
    if fit >= fitted:
        return "yes"
    return f"not comparable: fits only {percent(fit)} % of its training identities"


def seeds_sentence(seeds: int, people: int) -> str:
    """What the number of seeds, and the smallest number of people of a data set, let one conclude."""
    drawn = f"Brackets hold 95 % bootstrap intervals over the people of the test, {people} or more a data set"
    few = " and ".join(
        f"{count} {name}"
        for name, count, enough in (("seeds", seeds, ENOUGH_SEEDS), ("people", people, ENOUGH_PEOPLE))
        if count < enough and (name, count) != ("seeds", 1)
    )
    narrow = f" With {few}, which are few, intervals are too narrow: {FALSE_ALARMS}." if few else ""
    if seeds == 1:
        told = "differences are inconclusive, because another seed may turn them round"
        return f"One seed was run: {told}. {drawn}; of training again they say nothing.{narrow}"
    return f"Means over {seeds} seeds. {drawn}, and over seeds.{narrow}"


def protocols_phrase(names: Mapping[str, str]) -> str:
    """ "protocol embedded", or each target's where they differ.

    Args:
        names: target -> the name of its protocol.
    """
    if len(set(names.values())) == 1:
        return f"protocol {next(iter(names.values()))}"
    return f"protocols {', '.join(f'{name} of {target}' for target, name in names.items())}"


def pair(known: Evidence, cells: Sequence[Cell]) -> str:
    """mAP / rank-1 in per cent, means over some cells, each as :func:`bracket`."""
    return " / ".join(bracket(known.interval(cells, measure)) for measure in ("mAP", "rank1"))


def bracket(interval: Interval) -> str:
    """A value and the ends of its interval, in per cent."""
    return f"{percent(interval.value)} [{percent(interval.low)}, {percent(interval.high)}]"


def marked(gain: Difference) -> str:
    """A difference as :func:`bracket`, and whether it is none as far as its interval can tell."""
    none = gain.side == "not told apart"
    return f"{bracket(gain)}, {gain.side}" if none else bracket(gain)


def gained(value: float, low: float, high: float) -> str:
    """An effect in points with its sign and the ends of its interval, if it has one."""
    told, ends = percent(value), f" [{percent(low)}, {percent(high)}]" if low < high else ""
    return f"{'' if told.startswith('-') else '+'}{told}{ends}"


def percent(share: float) -> str:
    """A fraction as per cent with one decimal; what rounds to zero has no sign."""
    return f"{round(100 * share, 1) + 0.0:.1f}"


def against_baselines(table: pd.DataFrame, known: Evidence) -> list[str]:
    """One line a baseline: how far each setting with training lies above it in mAP, on the same queries."""
    present = set(table["setting"])
    sentences = []
    for baseline in BASELINES:
        sides = []
        for name in SETTINGS:
            if name in present and name not in BASELINES:
                cells = cells_of(table, name, "source")
                gain = known.difference(cells, [(baseline, target) for _, target in cells], "mAP")
                sides.append(f"{name.replace('_', '-')} {gain.side}, {bracket(gain)}")
        level = known.interval(cells_of(table, baseline, "source"), "mAP")
        sentences.append(f"{baseline}, {percent(level.value)} mAP: {'; '.join(sides)}")
    return sentences

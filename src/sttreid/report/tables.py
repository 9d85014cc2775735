"""Long tables -> Markdown tables; rates become per cent with one decimal, always mAP before rank-1."""

from collections.abc import Sequence

import pandas as pd

from sttreid.report.summary import BASELINES, COUNTS, LOOKS, SETTINGS, STEPS, lowest_fit, settings

NONE = "-"
PAIR = "mAP / R-1"

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


def cross_domain_table(table: pd.DataFrame, targets: Sequence[str]) -> str:
    """Who trained on what (rows) scores how much where (columns); in-domain cells are bold.

    Args:
        table: of :func:`sttreid.report.summary.matrix`.
        targets: columns, in this order.
    """
    means = table.groupby(["source", "target"], sort=False)[["mAP", "rank1"]].mean()
    rows = []
    for source in table["source"].unique():
        cells = [pair(means.loc[[(source, target)]]) for target in targets]
        marked = [f"**{c}**" if source == t else c for c, t in zip(cells, targets, strict=True)]
        rows.append([source, *marked])
    return markdown(["trained on", *(f"{target}, {PAIR}" for target in targets)], rows)


def means_table(table: pd.DataFrame, synthetic: str) -> str:
    """One row a setting: the mean over its cells, with the standard deviation between several seeds."""
    told = {
        "in_domain": "in-domain: tested on unseen people of the training set",
        "cross_domain": "cross-domain: trained on one target, tested on another",
        "direct_transfer": f"direct transfer: trained on {synthetic} alone",
        "untrained": "untrained: random weights",
        "histogram": "histogram: colours in stripes, nothing learnt",
        "equalised": "equalised: the same, each channel equalised within a tracklet",
    }
    means = settings(table, ["seed"])
    present = [name for name in SETTINGS if name in set(table["setting"])]
    rows = []
    for name in present:
        seeds = means.xs(name, level="setting")
        rows.append([told[name], pair(seeds)])
    return markdown(["setting", PAIR], rows)


def counts_table(table: pd.DataFrame) -> str:
    """One row a target: queries that count, queries dropped for want of a match, tracklets in the gallery,
    and how many of these are distractors.
    """
    first = table.groupby("target", sort=False)[list(COUNTS)].first()
    rows = [[str(target), *(str(row[name]) for name in COUNTS)] for target, row in first.iterrows()]
    return markdown(["tested on", "queries", "dropped", "gallery", "of these distractors"], rows)


def shift_table(table: pd.DataFrame) -> str:
    """One row a source and target: how well their crops are told apart, and what the step between them costs.

    Args:
        table: of :func:`sttreid.report.summary.shifts`.
    """
    rows = []
    for (source, target), seeds in table.groupby(["source", "target"], sort=False):
        first = seeds.iloc[0]
        apart = f"{percent(first['accuracy'])} ± {percent(first['standard_error'])}"
        rows.append([source, target, apart, *(spread(seeds[name]) for name in ("own", "rank1", "drop"))])
    header = ["trained on", "tested on", "told apart", "own model, R-1", "this model, R-1", "drop, points"]
    return markdown(header, rows, left=2)


def ablation_table(table: pd.DataFrame, fitted: float) -> str:
    """One row a variant; an arm that does not fit its training identities is marked, since it tells nothing.

    Args:
        table: of :func:`sttreid.report.summary.arms`.
        fitted: rank-1 on its training identities (0 to 1) that a variant must reach with every seed.
    """
    means = settings(table, ["variant", "seed"])
    looks = table.groupby("variant")[[*STEPS, *LOOKS]].mean()
    told = table.groupby("variant")["composition"].first()
    fits = lowest_fit(table)
    rows = []
    for variant in table["variant"].unique():
        seeds = means.loc[variant]
        known = set(seeds.index.get_level_values("setting"))
        both = ("in_domain", "cross_domain")
        pairs = [pair(seeds.xs(setting, level="setting")) if setting in known else NONE for setting in both]
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


def seeds_sentence(seeds: int) -> str:
    """What the number of seeds lets one conclude."""
    if seeds == 1:
        return "One seed was run: differences are inconclusive, because another seed may turn them round."
    return f"Means over {seeds} seeds; ± is the standard deviation between seeds."


def queries_sentence(queries: int) -> str:
    """How far the choice of the queries alone moves rank-1: the standard error of a share of one half.

    Queries of one person are not independent, so the true error is rather larger.
    """
    error = percent((0.25 / queries) ** 0.5)
    return f"With {queries} queries, R-1 near 50 % has a standard error of at least {error} points."


def pair(seeds: pd.DataFrame) -> str:
    """mAP / rank-1 in per cent, each as :func:`spread`, from one row a seed."""
    return f"{spread(seeds['mAP'])} / {spread(seeds['rank1'])}"


def spread(values: pd.Series) -> str:
    """The mean of one value a seed, with their standard deviation if there are several."""
    mean = percent(values.mean())
    return mean if len(values) == 1 else f"{mean} ± {percent(values.std())}"


def percent(share: float) -> str:
    """A fraction as per cent with one decimal; what rounds to zero has no sign."""
    return f"{round(100 * share, 1) + 0.0:.1f}"


def against_baselines(table: pd.DataFrame) -> list[str]:
    """One line a baseline: which settings with training lie above it in mAP."""
    means = settings(table)["mAP"]
    trained = [name for name in SETTINGS if name in means.index and name not in BASELINES]
    sentences = []
    for baseline in BASELINES:
        level = means[baseline]
        sides = {name: "above" if means[name] > level else "not above" for name in trained}
        told = ", ".join(f"{name.replace('_', '-')} {side}" for name, side in sides.items())
        sentences.append(f"{baseline}, {percent(level)} mAP: {told}")
    return sentences

"""The paper's numbers beside ours, claim by claim; no verdict, since data, size and protocol all differ."""

from collections.abc import Sequence

from sttreid.report.page import Findings
from sttreid.report.summary import lowest_fit
from sttreid.report.tables import NONE, bracket, markdown, pair

# what the paper says where, and the two variants between which our ablation takes the same step
STEPS = (
    ("spatial constraint", "MARS → DukeMTMC-VideoReID, R-1", "50.6 → 60.5 (+9.9)", "vanilla", "spatial"),
    ("temporal constraint", "not known", "not known", "spatial", "constrained"),
    ("global branch", "DukeMTMC-VideoReID, R-1", "about +3.9", "constrained", "global"),
    ("synthetic pre-training", "all three sets", "a gain, no numbers", "global", "full"),
)
# in the order of what params.yaml lets stand in for them
TRAINED = (
    ("MARS", "86.3 / 88.7"),
    ("DukeMTMC-VideoReID", "not known"),
    ("LS-VID", "78.0 / 87.5"),
    ("iLIDS-VID", f"{NONE} / 87.5"),
)


def beside(found: Findings) -> str:
    """Prose and two Markdown tables.

    Args:
        found: what our runs gave; variants that were not run are left out.
    """
    prose = (
        "The paper was tested on videos of real people with a full ResNet-50, ours on rendered people with a"
        " small network: compare directions, never values. The paper's numbers are those that later papers"
        " and a summary report; its own tables were not at hand."
    )
    ours = [(target, pair(found.cross_known, [(target, target)])) for target in found.targets]
    count = max(len(TRAINED), len(ours))
    padded = [[*rows, *[(NONE, NONE)] * (count - len(rows))] for rows in (TRAINED, ours)]
    rows = [[*theirs, *own] for theirs, own in zip(*padded, strict=True)]
    first = markdown(
        ["the paper, trained and tested on", "mAP / R-1", "ours, trained and tested on", "mAP / R-1"], rows
    )
    steps = markdown(
        [
            "what is added",
            "the paper, on",
            "its number",
            "ours",
            "in-domain, R-1 points",
            "cross-domain, R-1 points",
        ],
        _steps(found),
        left=2,
    )
    told = (
        f"Ours: trained on {found.source}, gain of the second variant over the first on the same queries,"
        " with its 95 % interval. A star marks a variant that is not comparable, since it did not fit its"
        " training identities."
    )
    return "\n\n".join((prose, first, told, steps))


def _steps(found: Findings) -> list[list[str]]:
    """A row a step between two variants that were both run."""
    targets = {"in-domain": [found.source]}
    targets["cross-domain"] = [target for target in found.targets if target != found.source]
    there = set(found.arms["variant"])
    star = {name: "" if fit >= found.fitted else "*" for name, fit in lowest_fit(found.arms).items()}
    rows = []
    for added, where, theirs, before, after in STEPS:
        if {before, after} <= there:
            gains = [_gain(found, after, before, some) for some in targets.values()]
            step = " → ".join(f"{name}{star[name]}" for name in (before, after))
            rows.append([added, where, theirs, step, *gains])
    return rows


def _gain(found: Findings, after: str, before: str, targets: Sequence[str]) -> str:
    if not targets:
        return NONE
    ours, theirs = ([(name, target) for target in targets] for name in (after, before))
    return bracket(found.arms_known.difference(ours, theirs, "rank1"))

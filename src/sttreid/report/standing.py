"""Published verdicts and numbers, the paper's included, and this run beside them: the report's beginning."""

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

from sttreid.analysis.claims import QUESTIONS
from sttreid.analysis.phrases import percent, sided, signed
from sttreid.analysis.results import Content, Scores
from sttreid.analysis.settings import ordered, setting_of, spelled
from sttreid.analysis.spread import DROP, Publication, Verdict, compare
from sttreid.report.render import Block, Cell, Table
from sttreid.report.tables import NONE, TEXT, gains, rates
from sttreid.retrieval.metrics import HEADLINE

MARKS: Final = {"supported": "good", "not supported": "bad"}
SETTINGS: Final = ("in_domain", "cross_domain", "cross_minus_in_domain", "direct_transfer")
NUMBERS: Final = ("in_domain", "cross_domain", "direct_transfer", DROP)
WORDS: Final = {
    "in_domain": "in-domain",
    "cross_domain": "cross-domain",
    "cross_minus_in_domain": "cross-domain minus in-domain",
    "direct_transfer": "direct transfer",
    DROP: "cross-domain drop",
}
DEFINED: Final = ("question", "ours", "theirs", "confirmatory")  # what a contrast compares
TESTED: Final = ("source", "protocol")  # effects compare where these are equal; early publications lack some
PAPER_SETS: Final = {  # protocol -> the data set that the paper tests in it
    "mars-official": "MARS",
    "duke-official": "DukeMTMC-VideoReID",
    "lsvid-official": "LS-VID",
    "ilids": "iLIDS-VID",
}
FORMER: Final = {"cross_domain_more": "cross_minus_in_domain"}  # a setting's name in early publications


def study_verdicts(published: Sequence[Content], ours: Content | None) -> list[Block]:
    """Origin and verdicts of each published study.

    Args:
        published: as :attr:`sttreid.report.page.Results.published_claims`.
        ours: content of this run's ``claims.json``; None: other parameters made it.
    """
    blocks: list[Block] = [TEXT["studies"]]
    for content in published:
        origin = content["publication"] | {key: content[key] for key in ("seeds", "trained_on")}
        whose = f"the study {origin['study']}"
        blocks += [TEXT["published"].format(**origin), claims_table(with_definitions(content, ours), whose)]
    return blocks


def beside_studies(published: Sequence[Content], ours: Content, trained_on: str) -> list[Block]:
    """Effects of this run beside those of each study that trains on the same data set.

    Args:
        published: as :func:`study_verdicts`.
        ours: content of this run's ``claims.json``.
        trained_on: data set that its variants are trained on.
    """
    blocks: list[Block] = []
    for content in (each for each in published if each["trained_on"] == trained_on):
        if effects := effects_table(with_definitions(content, ours), ours):
            blocks += [TEXT["beside_claims"].format(**content["publication"]), effects]
    return blocks


def claims_table(content: Content, whose: str = "") -> Table:
    """The verdict on each of the paper's questions, and the rank-1 effects that it rests on.

    Args:
        content: of ``claims.json``.
        whose: verdicts they are, where several stand on one page.
    """
    contrasts = [each for each in content["contrasts"].values() if each["confirmatory"]]
    asked = ordered((name for each in content["questions"].values() for name in each["verdict"]), SETTINGS)
    rows: list[list[str | Cell]] = []
    for name, question in content["questions"].items():
        cells = []
        for setting in asked:
            verdict, effects = question["verdict"].get(setting, NONE), []
            for each in contrasts:
                if each["question"] == name and (effect := _effect(each, setting)):
                    effects.append(f"{each['ours']} against {each['theirs']} {effect}")
            text = f"{verdict}: {'; '.join(effects)}" if effects else verdict
            cells.append(Cell(text, mark=MARKS.get(verdict, "")))
        paper = f"{question['paper']} ({question['read_in']})"
        rows.append([f"{name}: {QUESTIONS[name].text}", *cells, paper])
    first = f"verdicts of {whose}" if whose else "question"
    columns = [first, *(spelled(name, WORDS) for name in asked), "the paper, on its data"]
    caption = f"Verdicts of {whose}" if whose else "Verdicts"
    return Table(columns, rows, f"{caption}, with rank-1 effects in points", left=len(columns))


def with_definitions(published: Content, ours: Content | None) -> Content:
    """A publication with what early ones leave out: what each contrast compares, and the names of settings.

    Args:
        published: content of a published ``claims.json``.
        ours: content of this run's, which defines all contrasts; None: those of a publication that leaves
            them out are not shown.
    """
    contrasts, definitions = {}, {} if ours is None else ours["contrasts"]
    for name, each in published["contrasts"].items():
        if "confirmatory" in each:
            contrasts[name] = _renamed(each)
        elif defined := definitions.get(name):
            contrasts[name] = {key: defined[key] for key in DEFINED} | _renamed(each)
    questions = {
        name: {**each, "verdict": _renamed(each["verdict"])} for name, each in published["questions"].items()
    }
    return {**published, "contrasts": contrasts, "questions": questions}


def numbers_table(publication: Publication, scores: Scores) -> Table:
    """Means of the settings: the published seeds, and this run."""
    rows: list[list[str | Cell]] = []
    found = {(row.name, row.metric, row.seed): row for row in compare(publication, scores)}
    for name in ordered((name for each in publication.numbers.values() for name in each), NUMBERS):
        text = sided if setting_of(name) == DROP else percent
        for seed in scores.seeds:
            cells: list[str | Cell] = []
            for metric in HEADLINE:
                if row := found.get((name, metric.name, seed)):
                    low, high = row.spread.low, row.spread.high
                    ends = "" if low is None or high is None else f" [{text(low)}, {text(high)}]"
                    mark = "bad" if row.verdict is Verdict.OUTSIDE else ""
                    here = f"{percent(row.value)}, {TEXT['beside'][row.verdict.value]}"
                    cells += [f"{percent(row.spread.mean)}{ends}", Cell(here, mark=mark)]
            if cells:
                label = spelled(name, WORDS)
                rows.append([label if len(scores.seeds) == 1 else f"{label}, seed {seed}", *cells])
    columns = ["mean of"]
    for metric in HEADLINE:
        columns += [f"{metric.label}, published", f"{metric.label}, this run"]
    return Table(columns, rows, "Accuracy of the default run, in per cent")


def effects_table(published: Content, ours: Content) -> Table | None:
    """Rank-1 effects of the contrasts that both have; None without one, or if they were tested differently.

    Args:
        published: with definitions (:func:`with_definitions`).
        ours: content of this run's ``claims.json``.
    """
    rows: list[list[str | Cell]] = []
    study = f"the study {published['publication']['study']}"
    if any(published.get(key, ours.get(key)) != ours.get(key) for key in TESTED):
        return None
    for name, each in ours["contrasts"].items():
        before = published["contrasts"].get(name, {})
        if any(before.get(key) != each[key] for key in DEFINED):
            continue
        for setting in ordered(each, SETTINGS):
            here = _effect(each, setting)
            if each["confirmatory"] and here and (effect := _effect(before, setting)):
                value, numbers = each[setting]["rank1"]["effect"], before[setting]["rank1"]
                inside = numbers["low"] <= value <= numbers["high"]
                side = "inside" if inside else "above" if value > numbers["high"] else "below"
                compared = f"{each['question']}: {each['ours']} against {each['theirs']}"
                verdict = Cell(numbers["verdict"], mark=MARKS.get(numbers["verdict"], ""))
                rows.append([compared, spelled(setting, WORDS), verdict, effect, here, side])
    columns = ["compared", "setting", f"verdict of {study}", f"effect in {study}", "this run's effect"]
    columns.append(f"against the interval of {study}")
    caption = f"Rank-1 effects of this run beside {study}, in points"
    return Table(columns, rows, caption, left=3) if rows else None


def paper_tables(cross: Scores, ablation: Scores, comparable: Mapping[str, bool]) -> list[Table]:
    """The paper's numbers beside those of this run: in-domain, and the steps of its ablation that were run.

    Args:
        cross: cross-domain scores.
        ablation: scores of the ablation.
        comparable: name of a variant -> whether it fits its training identities.
    """
    pairs = [
        (paper or [NONE] * 4, [target or NONE, *rates(cross, [(target, target)] if target else [])])
        for paper, target in _beside_paper(cross.protocol_names)
    ]
    columns = ["the paper, in-domain on", "the paper's rank-1", "the paper's mAP", "read in"]
    columns += ["here, in-domain on", *(f"{metric.label} here" for metric in HEADLINE)]
    sets = [[*paper, *our] for paper, our in pairs]
    found = [Table(columns, sets, "The paper and this run, in-domain, in per cent", left=5)]
    steps: list[list[str | Cell]] = []
    for *paper, before, after in TEXT["paper_steps"]:
        if {before, after} <= set(comparable):
            names = (name if comparable[name] else f"{name} (not comparable)" for name in (before, after))
            both = (gains(ablation, setting, after, before) for setting in ("in_domain", "cross_domain"))
            steps.append([*paper, " → ".join(names), *both])
    added = ["added", "the paper, on", "rank-1", "read in", "here", "in-domain rank-1", "cross-domain rank-1"]
    if steps:
        found.append(Table(added, steps, "Steps of the ablation, gains in points", left=5))
    return found


def _beside_paper(protocols: Mapping[str, str]) -> list[tuple[list[str] | None, str | None]]:
    """The paper's data sets, each beside the target that is this set by its protocol, and further targets.

    Rendered targets correspond to the paper's sets in the order of the parameters.
    """
    papers: list[list[str]] = TEXT["paper_sets"]
    if all(name.startswith("embedded") for name in protocols.values()):
        return list(zip_longest(papers, protocols))
    sets = {target: PAPER_SETS.get(re.sub(r"-\d+$", "", name)) for target, name in protocols.items()}
    pairs: list[tuple[list[str] | None, str | None]] = []
    for paper in papers:
        pairs += [(paper, target) for target, name in sets.items() if name == paper[0]] or [(paper, None)]
    return pairs + [(None, target) for target, name in sets.items() if name is None]


def _effect(contrast: Mapping[str, Content], setting: str) -> str:
    """Of rank-1; empty if the contrast has none in the setting."""
    numbers = contrast.get(setting, {}).get("rank1", {})
    return signed(*(numbers[key] for key in ("effect", "low", "high"))) if "effect" in numbers else ""


def _renamed(content: Content) -> dict[str, Any]:
    return {FORMER.get(name, name): value for name, value in content.items()}

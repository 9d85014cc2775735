"""Scores, histories, verdicts and visuals -> the report: one page, with figures in HTML only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from sttreid.analysis.claims import QUESTIONS
from sttreid.analysis.metrics_files import credit
from sttreid.analysis.phrases import percent, seeds_phrase, signed
from sttreid.analysis.results import BASELINES, Content, Scores, VariantResult, cmc, matrix, training_curve
from sttreid.analysis.uncertainty import MIN_IDENTITIES, MIN_SEEDS
from sttreid.report import charts, filmstrips, tables
from sttreid.report.filmstrips import Visuals
from sttreid.report.render import Block, Bullets, Cell, Figure, Heading, Page, Section, Table
from sttreid.report.tables import NONE, TEXT, rates, scope
from sttreid.retrieval.metrics import HEADLINE
from sttreid.runtime.provenance import Machine

MARKS = {"supported": "good", "not supported": "bad"}


@dataclass(frozen=True, eq=False)
class Results:
    """Everything that the report shows.

    Attributes:
        cross: cross-domain scores.
        ablation: scores of the ablation.
        variants: how its variants are made and trained.
        source: data set that they are trained on.
        synthetic: data set of the pre-training.
        reference: the variant that is the default run's model; None without one.
        min_train_rank1: rank-1 on training identities that makes a variant comparable.
        runs: histories of the default run: name of the data set -> one for each seed.
        histories: the same of the variants.
        domains: content of ``metrics/domains.json``; None: other parameters made it.
        claims: content of ``metrics/claims.json``; None: other parameters made it.
        visuals: of the stage ``visualise``.
        machines: of each stage that trained or tested.
        stale: variants that are left out, because other parameters made them.
        fingerprint: of the parameters; empty: the page does not name it.
    """

    cross: Scores
    ablation: Scores
    variants: Sequence[VariantResult]
    source: str
    synthetic: str
    reference: str | None
    min_train_rank1: float
    runs: Mapping[str, Sequence[pd.DataFrame]]
    histories: Mapping[str, Sequence[pd.DataFrame]]
    domains: Content | None
    claims: Content | None
    visuals: Visuals
    machines: Sequence[Machine]
    stale: Sequence[str] = ()
    fingerprint: str = ""


def report(results: Results) -> Page:
    """The whole page."""
    cross = results.cross
    shift = TEXT["stale"] if results.domains is None else tables.shift_table(cross, results.domains)
    hard = _text("difficulty", identities=MIN_IDENTITIES, seeds=MIN_SEEDS)
    history = _text("history", seeds=seeds_phrase(cross.seeds))
    training = training_figures(results.runs, "default run", history)
    training += training_figures(results.histories, "ablation", history)
    sections = [
        _claims(results),
        _cross_domain(cross),
        Section("Strangers", [TEXT["strangers"], tables.open_set_table(cross)]),
        _ablation(results),
        Section("Training", training, visual=True),
        *_attention(results),
        _ranked_lists(results),
        _maps(results),
        _protocol(cross),
        Section("What makes a query hard", [hard, tables.difficulty_table(cross)]),
        Section("Domain shift", [TEXT["shift"], shift]),
        Section("Provenance", [TEXT["machines"], _machines(results.machines)]),
    ]
    return Page(TEXT["title"], _lead(results), sections)


def summary_chart(results: Results) -> alt.HConcatChart:
    """Rank-1 of both results for ``metrics/results.svg``: the matrix, and the ablation with intervals."""
    title = [f"Ablation on {results.source}, 95 % CI", "hollow: not comparable"]
    forest = charts.forest(_by_variant(results, "rank1"), "rank-1", palette=charts.STATIC)
    heat = charts.heat(_trained(results.cross), "rank1", charts.STATIC)
    heat = heat.properties(title="Cross-domain rank-1", height=200)
    sides = alt.hconcat(heat, forest.properties(title=title), spacing=40)
    whole: alt.HConcatChart = sides.resolve_scale(
        color="independent", shape="independent", fill="independent"
    )
    return whole


def training_figures(histories: Mapping[str, Sequence[pd.DataFrame]], what: str, scope: str) -> list[Figure]:
    """Loss, rank-1 on training and validation identities, and attention entropy where it is measured.

    Args:
        histories: name -> training histories, one for each seed; means over seeds are drawn.
        what: is trained, for the titles.
        scope: of the figures.
    """
    means = {name: pd.concat(each).groupby("step").mean().reset_index() for name, each in histories.items()}
    if not means:
        return []
    loss = [training_curve(mean[["step", "loss"]]).assign(name=name) for name, mean in means.items()]
    whole = pd.concat([mean.assign(name=name) for name, mean in means.items()])
    sides = {"training": "train_rank1", "validation": "validation_rank1"}
    rank1 = [whole[["name", "step"]].assign(rank1=whole[key], group=side) for side, key in sides.items()]
    curves = {"loss": ("Training loss", pd.concat(loss)), "rank1": ("Rank-1 in training", pd.concat(rank1))}
    if "attention_entropy" in whole:
        curves["attention_entropy"] = ("Attention entropy", whole[["name", "step", "attention_entropy"]])
    return [
        _curves(table.dropna(), column, f"{title}, {what}", scope)
        for column, (title, table) in curves.items()
    ]


def claims_table(content: Content) -> Table:
    """The verdict on each of the paper's questions, and the rank-1 effects that it rests on.

    Args:
        content: of ``claims.json``.
    """
    settings = ("in_domain", "cross_domain", "cross_minus_in_domain", "direct_transfer")
    contrasts = [each for each in content["contrasts"].values() if each["confirmatory"]]
    rows: list[list[str | Cell]] = []
    for name, question in content["questions"].items():
        cells = []
        for setting in settings:
            verdict, effects = question["verdict"].get(setting, NONE), []
            for each in contrasts:
                numbers = each.get(setting, {}).get("rank1", {})
                if each["question"] == name and "effect" in numbers:
                    effect = signed(*(numbers[key] for key in ("effect", "low", "high")))
                    effects.append(f"{each['ours']} against {each['theirs']} {effect}")
            text = f"{verdict}: {'; '.join(effects)}" if effects else verdict
            cells.append(Cell(text, mark=MARKS.get(verdict, "")))
        paper = f"{question['paper']} ({question['read_in']})"
        rows.append([f"{name}: {QUESTIONS[name].text}", paper, *cells])
    columns = ["question", "the paper, on its data", *(name.replace("_", "-") for name in settings)]
    return Table(columns, rows, "Verdicts, with rank-1 effects in points", left=len(columns))


def _text(key: str, **values: object) -> str:
    return str(TEXT[key].format(**values))


def _lead(results: Results) -> list[Block]:
    cross, names = results.cross, {"synthetic": results.synthetic, "baselines": ", ".join(BASELINES)}
    run = _text("run", targets=", ".join(cross.targets), seeds=seeds_phrase(cross.seeds), **names)
    rendered = all(name.startswith("embedded") for name in cross.protocol_names.values())
    made_by = [credit(results.fingerprint)] if results.fingerprint else []
    return [run, *([TEXT["rendered"]] if rendered else []), _intervals(cross), *made_by]


def _intervals(scores: Scores) -> str:
    """What the intervals cover, and whether seeds and identities are too few for them."""
    seeds = len(scores.seeds)
    over = "test identities and seeds" if seeds > 1 else "test identities"
    sentences = [_text("intervals", over=over, identities=scores.identities)]
    if seeds == 1:
        sentences.append(TEXT["one_seed"])
    elif seeds < MIN_SEEDS:
        sentences.append(_text("few_seeds", least=MIN_SEEDS))
    if scores.identities < MIN_IDENTITIES:
        sentences.append(_text("few_identities", least=MIN_IDENTITIES))
    return " ".join(sentences)


def _claims(results: Results) -> Section:
    content, scores, papers = results.claims, results.ablation, TEXT["paper_sets"]
    verdicts: list[Block] = [TEXT["stale"]]
    if content is not None:
        rules = _text("claims", seeds=content["seeds"], min_seeds=content["min_seeds"])
        verdicts = [rules, claims_table(content)]
    ours = [[target, *rates(results.cross, [(target, target)])] for target in results.cross.targets]
    number = max(len(ours), len(papers))
    ours += [[NONE] * (1 + len(HEADLINE))] * (number - len(ours))
    papers = [*papers, *[[NONE] * 4] * (number - len(papers))]
    columns = ["the paper, in-domain on", "mAP", "rank-1", "read in", "here, in-domain on"]
    columns += [metric.label for metric in HEADLINE]
    sets = [[*paper, *our] for paper, our in zip(papers, ours, strict=True)]
    comparable, steps = {each.name: each.comparable for each in results.variants}, []
    for *paper, before, after in TEXT["paper_steps"]:
        if {before, after} <= set(comparable):
            names = (name if comparable[name] else f"{name} (not comparable)" for name in (before, after))
            gains: list[str | Cell] = []
            for setting in ("in_domain", "cross_domain"):
                gains.append(tables.gains(scores, setting, after, before))
            steps.append([*paper, " → ".join(names), *gains])
    added = ["added", "the paper, on", "rank-1", "read in", "here", "in-domain rank-1", "cross-domain rank-1"]
    blocks = [
        *verdicts,
        TEXT["paper"],
        Table(columns, sets, "The paper and this run, in-domain, in per cent", left=5),
        Table(added, steps, "Steps of the ablation, gains in points", left=5),
    ]
    return Section("The paper's claims", blocks)


def _cross_domain(scores: Scores) -> Section:
    table, said = _trained(scores), scope(scores)
    figures: list[Block] = [
        Figure(f"Trained models: {metric.label}", charts.heat(table, metric.name), TEXT["heat"], said)
        for metric in HEADLINE
    ]
    marks = [
        tables.mark(
            f"{name.replace('_', '-')}{suffix}", metric.label, part.interval(part.cells(name), metric.name)
        )
        for suffix, part in tables.parts(scores)
        for name in part.settings
        for metric in HEADLINE
    ]
    figures.append(
        Figure("Settings", charts.forest(pd.DataFrame(marks), "mean over cells"), TEXT["settings"], said)
    )
    curve = cmc(scores).rename(columns=lambda name: name.replace("_", "-")).set_index("rank")
    rows = [
        [str(rank), *map(percent, values)] for rank, values in zip(curve.index, curve.to_numpy(), strict=True)
    ]
    data = Table(["rank", *curve.columns], rows, "CMC, in per cent")
    long = curve.reset_index().melt("rank", var_name="name", value_name="share")
    chart = charts.lines(long, "rank", "share", ("rank", "queries"), percent=True)
    figures.append(Figure("Cumulative matching characteristic", chart, TEXT["cmc"], said, data))
    blocks = [
        TEXT["cross_domain"],
        tables.cross_domain_table(scores),
        tables.settings_table(scores),
        TEXT["baselines"],
        tables.baselines_table(scores),
    ]
    return Section("Cross-domain", [*blocks, *figures])


def _ablation(results: Results) -> Section:
    scores, source = results.ablation, results.source
    blocks: list[Block] = [_text("ablation", source=source, least=percent(results.min_train_rank1))]
    if results.reference is not None:
        blocks.append(_text("reference", name=results.reference, source=source))
    if results.stale:
        blocks.append(_text("left_out", names=", ".join(results.stale)))
    blocks += [_intervals(scores), tables.ablation_table(scores, results.variants)]
    for metric in HEADLINE:
        chart = charts.forest(_by_variant(results, metric.name), metric.label)
        caption = _text("variants", source=source)
        blocks.append(Figure(f"Ablation: {metric.label}", chart, caption, scope(scores)))
    return Section("Ablation", blocks)


def _attention(results: Results) -> list[Section]:
    visuals, source, protocols = results.visuals, results.source, results.cross.protocol_names
    frames, (above, below) = visuals.frames, visuals.variants
    names = f"{above} (above) and {below} (below)"
    first = frames[frames["variant"] == visuals.variants[0]]
    numbers = {"queries": first["tracklet"].nunique(), "frames": len(first), "seed": visuals.seed}
    scope = _text("attention_scope", source=source, protocol=protocols[source], **numbers)
    legend = _text("temporal", source=source, names=names)
    blocks: list[Block] = [legend, filmstrips.concentration(visuals)]
    blocks += [*filmstrips.by_visibility(visuals, scope), *filmstrips.temporal(visuals, scope)]
    spatial: list[Block] = [_text("spatial", names=names), *filmstrips.spatial(visuals, scope)]
    return [
        Section("Temporal attention", blocks, visual=True),
        Section("Spatial attention", spatial, visual=True),
    ]


def _ranked_lists(results: Results) -> Section:
    blocks: list[Block] = [TEXT["ranked"]]
    for target in results.cross.targets:
        for kind in ("hardest", "even"):
            if lists := filmstrips.ranked(results.visuals, target, kind):
                said = scope(results.cross, [results.visuals.seed])
                blocks += [Heading(f"{target}: {TEXT[kind]}", said), *lists]
    return Section("Ranked lists", blocks, visual=True)


def _maps(results: Results) -> Section:
    blocks: list[Block] = [TEXT["maps"]]
    for model, table in results.visuals.maps.groupby("model", sort=False):
        groups = table.groupby("dataset", sort=False)["own"]
        rows = [[str(name), str(len(group)), percent(group.mean())] for name, group in groups]
        data = Table(["data set", "tracklets", "of the same set, %"], rows, "Ten nearest neighbours")
        trained = f"{results.synthetic}, then {model}" if model != results.synthetic else f"{model} alone"
        said = f"Needs no protocol; seed {results.visuals.seed}; {len(table)} tracklets."
        chart = charts.scatter(table.rename(columns={"dataset": "name"})[["name", "x", "y"]])
        blocks.append(Figure(f"Trained on {trained}", chart, TEXT["tsne"], said, data))
    return Section("Map of the embeddings", blocks, visual=True)


def _protocol(scores: Scores) -> Section:
    """The rules of each protocol, and the counts of all targets."""
    groups: dict[str, list[str]] = {}
    for target, name in scores.protocol_names.items():
        groups.setdefault(name, []).append(target)
    blocks: list[Block] = [TEXT["mixed"]] if len(groups) > 1 else []
    for name, targets in groups.items():
        rules = scores.protocols[targets[0]]
        unmatched = {"drop": "are not counted", "zero": "score 0"}[rules["unmatched"]]
        items = [
            f"gallery: {rules['gallery']}; junk is removed",
            f"ignored for a query: gallery tracklets of the {rules['excluded']}",
            f"average precision: {rules['average_precision']}; queries without a match {unmatched}",
            f"ties: {rules['ties']}",
        ]
        blocks += [f"{name} ({', '.join(targets)}): {rules['source']}", Bullets(items)]
    return Section("Protocol", [*blocks, tables.counts_table(scores)])


def _machines(machines: Sequence[Machine]) -> Bullets:
    """One line for each distinct machine."""
    counts = Counter(machine.summary for machine in machines)
    return Bullets([f"{summary} (stages: {number})" for summary, number in counts.items()])


def _trained(scores: Scores) -> pd.DataFrame:
    table = matrix(scores)
    return table[~table["source"].isin(BASELINES)]


def _by_variant(results: Results, metric: str) -> pd.DataFrame:
    scores, marks = results.ablation, []
    for made in results.variants:
        for suffix, part in tables.parts(scores):
            for setting in part.settings:
                mean, group = part.interval(part.cells(setting, made.name), metric), setting.replace("_", "-")
                marks.append(tables.mark(made.name, f"{group}{suffix}", mean, hollow=not made.comparable))
    return pd.DataFrame(marks)


def _curves(table: pd.DataFrame, column: str, title: str, scope: str) -> Figure:
    """Training curves; their first and last values are the data."""
    keys, share = ["name", "group"] if "group" in table else ["name"], column == "rank1"
    text = percent if share else "{:.2f}".format
    ends = [(key, curve[column].iloc[[0, -1]]) for key, curve in table.groupby(keys, sort=False)]
    data = Table([*keys, "first", "last"], [[*key, *map(text, end)] for key, end in ends], title, len(keys))
    titles = ("step", "rank-1" if share else column.replace("_", " "))
    chart = charts.lines(table, "step", column, titles, percent=share, points=column != "loss")
    return Figure(title, chart, TEXT[column], scope, data)

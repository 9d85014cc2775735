"""Scores, histories, verdicts and visuals -> the report: one page, with figures in HTML only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import altair as alt
import pandas as pd

from sttreid.analysis.metrics_files import credit
from sttreid.analysis.phrases import bracket, percent, seeds_phrase
from sttreid.analysis.results import BASELINES, Content, Scores, VariantResult, cmc, matrix, training_curve
from sttreid.analysis.spread import Publication
from sttreid.analysis.uncertainty import MIN_IDENTITIES, MIN_SEEDS
from sttreid.report import charts, filmstrips, standing, tables
from sttreid.report.filmstrips import Visuals
from sttreid.report.render import Block, Bullets, Figure, Fold, Heading, Page, Section, Table
from sttreid.report.tables import NONE, TEXT, scope
from sttreid.retrieval.metrics import HEADLINE
from sttreid.runtime.provenance import Machine


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
        published_claims: of each study that was published with enough seeds, the newest ``claims.json``, with
            what its variants are trained on under "trained_on", and under "publication" its study, folder and
            commit; the newest study first.
        published_seeds: the newest publication of the study ``seeds``; None without one.
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
    published_claims: Sequence[Content]
    published_seeds: Publication | None
    visuals: Visuals
    machines: Sequence[Machine]
    stale: Sequence[str] = ()
    fingerprint: str = ""


def report(results: Results) -> Page:
    """The whole page."""
    cross = results.cross
    shift: Block = _text("left_out", names=TEXT["separability"])
    if results.domains is not None:
        shift = tables.shift_table(cross, results.domains)
    hard = _text("difficulty", identities=MIN_IDENTITIES, seeds=MIN_SEEDS)
    sections = [
        _verdicts(results),
        _this_run(results),
        _cross_domain(cross),
        Section("Strangers", [TEXT["strangers"], tables.open_set_table(cross)]),
        _ablation(results),
        _training(results),
        *_attention(results),
        _ranked_lists(results),
        _maps(results),
        Section("Hard queries", [hard, tables.difficulty_table(cross)]),
        Section("Domain shift", [TEXT["shift"], shift]),
        _protocol(cross),
        Section("Provenance", [TEXT["machines"], _machines(results.machines)]),
    ]
    return Page(TEXT["title"], [TEXT["summary"]], sections)


def summary_chart(results: Results) -> alt.HConcatChart:
    """Rank-1 of both results for ``metrics/results.svg``, with intervals: the matrix and the ablation."""
    cross = results.cross
    means = {name: _rank1(cross, name) for name in cross.settings}
    message = _text("results", **(dict.fromkeys(standing.NUMBERS, NONE) | means))
    forest = charts.forest(_by_variant(results, "rank1"), "rank-1", palette=charts.STATIC)
    heat = charts.heat(_trained(cross, "rank1"), "rank1", charts.STATIC)
    heat = heat.properties(title="Every model on every target, 95 % CI")
    title = _text("results_ablation", source=results.source)
    sides = alt.hconcat(heat, forest.properties(title=title), spacing=40)
    whole: alt.HConcatChart = sides.resolve_scale(
        color="independent", shape="independent", fill="independent"
    ).properties(title=alt.Title(message, anchor="middle", fontSize=14, offset=14))
    return whole


def training_figures(histories: Mapping[str, Sequence[pd.DataFrame]], what: str) -> list[Figure]:
    """Loss, rank-1 on training and validation identities, and attention entropy where it is measured.

    Args:
        histories: name -> training histories, one for each seed; means over seeds are drawn.
        what: is trained, for the titles.
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
    return [_curves(table.dropna(), column, f"{title}, {what}") for column, (title, table) in curves.items()]


def _text(key: str, **values: object) -> str:
    return str(TEXT[key].format(**values))


def _verdicts(results: Results) -> Section:
    """The published verdicts on the paper's claims, and the paper's own numbers."""
    cross = results.cross
    blocks: list[Block] = [_text("unpublished", least=MIN_SEEDS)]
    if results.published_claims:
        blocks = standing.study_verdicts(results.published_claims, results.claims)
    if all(name.startswith("embedded") for name in cross.protocol_names.values()):
        blocks.append(TEXT["rendered"])
    comparable = {each.name: each.comparable for each in results.variants}
    paper = [TEXT["paper"], *standing.paper_tables(cross, results.ablation, comparable)]
    return Section("Verdicts", [*blocks, Fold("The paper's numbers", paper)])


def _this_run(results: Results) -> Section:
    """This run's numbers beside the published ones."""
    cross, names = results.cross, {"synthetic": results.synthetic, "baselines": ", ".join(BASELINES)}
    run = _text("run", targets=", ".join(cross.targets), seeds=seeds_phrase(cross.seeds), **names)
    blocks: list[Block] = [f"{run} {_intervals(cross)}"]
    if results.fingerprint:
        blocks.append(credit(results.fingerprint))
    if (seeds := results.published_seeds) and (beside := standing.numbers_table(seeds, cross)).rows:
        blocks.append(_text("beside_seeds", number=len(seeds.params["seeds"]), commit=seeds.commit[:10]))
        blocks.append(beside)
    claims = results.claims
    if claims is None:
        return Section("This run", [*blocks, _text("left_out", names=TEXT["effects"])])
    blocks += standing.beside_studies(results.published_claims, claims, results.source)
    rules = _text("claims", seeds=claims["seeds"], min_seeds=claims["min_seeds"])
    verdicts: list[Block] = [rules, standing.claims_table(claims, "this run")]
    return Section("This run", [*blocks, Fold("Verdicts of this run", verdicts)])


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


def _cross_domain(scores: Scores) -> Section:
    figures: list[Block] = [
        Figure(f"Trained models: {metric.label}", charts.heat(_trained(scores, metric.name), metric.name))
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
    figures.append(Figure("Settings", charts.forest(pd.DataFrame(marks), "mean over cells")))
    curve = cmc(scores).rename(columns=lambda name: name.replace("_", "-")).set_index("rank")
    rows = [
        [str(rank), *map(percent, values)] for rank, values in zip(curve.index, curve.to_numpy(), strict=True)
    ]
    data = Table(["rank", *curve.columns], rows, "CMC, in per cent")
    long = curve.reset_index().melt("rank", var_name="name", value_name="share")
    chart = charts.lines(long, "rank", "share", ("rank", "queries"), percent=True)
    figures.append(Figure("Cumulative matching characteristic", chart, data))
    gains: list[Block] = [TEXT["baselines"], tables.baselines_table(scores)]
    blocks: list[Block] = [TEXT["cross_domain"], tables.cross_domain_table(scores), *figures]
    blocks += [tables.settings_table(scores), Fold("Gain over baselines without training", gains)]
    return Section("Cross-domain", blocks, caption=TEXT["cross_domain_caption"], scope=scope(scores))


def _ablation(results: Results) -> Section:
    scores, source = results.ablation, results.source
    text = [_text("ablation", source=source, least=percent(results.min_train_rank1))]
    if results.reference is not None:
        text.append(_text("reference", name=results.reference, source=source))
    blocks: list[Block] = [" ".join([*text, _intervals(scores)])]
    if results.stale:
        blocks.append(_text("left_out", names=", ".join(results.stale)))
    blocks.append(tables.ablation_table(scores, results.variants))
    for metric in HEADLINE:
        chart = charts.forest(_by_variant(results, metric.name), metric.label)
        blocks.append(Figure(f"Ablation: {metric.label}", chart))
    return Section("Ablation", blocks, caption=TEXT["variants"], scope=scope(scores))


def _training(results: Results) -> Section:
    figures = training_figures(results.runs, "default run")
    figures += training_figures(results.histories, "ablation")
    history = _text("history", seeds=seeds_phrase(results.cross.seeds))
    return Section("Training", figures, visual=True, caption=TEXT["training"], scope=history)


def _attention(results: Results) -> list[Section]:
    visuals, source, protocols = results.visuals, results.source, results.cross.protocol_names
    frames, (above, below) = visuals.frames, visuals.variants
    names = f"{above} (above) and {below} (below)"
    first = frames[frames["variant"] == visuals.variants[0]]
    numbers = {"queries": first["tracklet"].nunique(), "frames": len(first), "seed": visuals.seed}
    said = _text("attention_scope", source=source, protocol=protocols[source], **numbers)
    text = _text("temporal", source=source, tokens=1 + visuals.clip_frames)
    blocks: list[Block] = [text, filmstrips.concentration(visuals)]
    blocks += [*filmstrips.by_visibility(visuals), *filmstrips.temporal(visuals)]
    legend, places = _text("temporal_caption", names=names), _text("spatial", names=names)
    spatial = filmstrips.spatial(visuals)
    return [
        Section("Temporal attention", blocks, visual=True, caption=legend, scope=said),
        Section("Spatial attention", spatial, visual=True, caption=places, scope=said),
    ]


def _ranked_lists(results: Results) -> Section:
    blocks: list[Block] = []
    for target in results.cross.targets:
        for kind in ("failure", "success"):
            lists = filmstrips.ranked(results.visuals, target, kind)
            if target == results.cross.targets[0]:
                lists = [replace(each, open=not number) for number, each in enumerate(lists)]
            if lists:
                blocks += [Heading(f"{target}: {TEXT[kind]}"), *lists]
    said = scope(results.cross, [results.visuals.seed])
    return Section("Ranked lists", blocks, visual=True, caption=TEXT["ranked"], scope=said)


def _maps(results: Results) -> Section:
    blocks: list[Block] = []
    for model, table in results.visuals.maps.groupby("model", sort=False):
        groups = table.groupby("dataset", sort=False)
        rows = [
            [str(name), str(len(group)), percent(group["hit"].mean()), percent(group["own"].mean())]
            for name, group in groups
        ]
        columns = ["data set", "tracklets", "nearest is the same identity, %"]
        columns.append("ten nearest are of the same set, %")
        data = Table(columns, rows, "Neighbours in the embedding space")
        trained = f"{results.synthetic}, then {model}" if model != results.synthetic else f"{model} alone"
        identity = table["dataset"] + " " + table["identity"].astype(str)
        points = table.assign(name=table["dataset"], group=identity)[["name", "group", "x", "y"]]
        blocks.append(Figure(f"Trained on {trained}", charts.scatter(points), data))
    said = f"Needs no protocol; seed {results.visuals.seed}."
    caption = f"{TEXT['maps']} {TEXT['tsne']}"
    return Section("Feature map", blocks, visual=True, caption=caption, scope=said)


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


def _trained(scores: Scores, metric: str) -> pd.DataFrame:
    """The cells of trained models, with intervals."""
    table = matrix(scores)
    table = table[~table["source"].isin(BASELINES)]
    cells = table[["source", "target"]].itertuples(index=False)
    means = [scores.interval([(source, target)], metric) for source, target in cells]
    return table.assign(low=[mean.low for mean in means], high=[mean.high for mean in means])


def _rank1(scores: Scores, setting: str) -> str:
    """A setting's mean of each protocol."""
    means = [
        f"{bracket(part.interval(part.cells(setting), 'rank1'))}{suffix}"
        for suffix, part in tables.parts(scores)
        if setting in part.settings
    ]
    return ", ".join(means)


def _by_variant(results: Results, metric: str) -> pd.DataFrame:
    scores, marks = results.ablation, []
    for made in results.variants:
        for suffix, part in tables.parts(scores):
            for setting in part.settings:
                mean, group = part.interval(part.cells(setting, made.name), metric), setting.replace("_", "-")
                marks.append(tables.mark(made.name, f"{group}{suffix}", mean, hollow=not made.comparable))
    return pd.DataFrame(marks)


def _curves(table: pd.DataFrame, column: str, title: str) -> Figure:
    """Training curves; their first and last values are the data."""
    keys, share = ["name", "group"] if "group" in table else ["name"], column == "rank1"
    text = percent if share else "{:.2f}".format
    ends = [(key, curve[column].iloc[[0, -1]]) for key, curve in table.groupby(keys, sort=False)]
    data = Table([*keys, "first", "last"], [[*key, *map(text, end)] for key, end in ends], title, len(keys))
    titles = ("step", "rank-1" if share else column.replace("_", " "))
    chart = charts.lines(table, "step", column, titles, percent=share, points=column != "loss")
    return Figure(title, chart, data)

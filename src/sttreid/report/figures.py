"""Findings, histories and attention -> the charts of the page, each with its words."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sttreid.analysis.uncertainty import Interval, Sample, interval
from sttreid.report import charts, plots
from sttreid.report.blocks import Figure, chart
from sttreid.report.evidence import Evidence, cells_of
from sttreid.report.films import Pictures, attended
from sttreid.report.page import Findings
from sttreid.report.summary import SETTINGS, lowest_fit, names
from sttreid.report.tables import bracket, markdown, percent, protocols_phrase

EDGES = (-1.0, -0.2, -0.05, 0.05, 0.2, 1.0)  # of a frame's visibility, less the mean of its clip
BINS = ("< -20", "-20 to -5", "-5 to 5", "5 to 20", "> 20")  # the same, in points
HISTORY = "Training history"


def scope(found: Findings) -> str:
    """What every figure of results is computed from, in one sentence."""
    counts = found.cross.groupby("target", sort=False)["queries"].first()
    asked = ", ".join(f"{count} {target}" for target, count in counts.items())
    phrase = protocols_phrase(names(found.protocol))
    return f"{phrase[0].upper()}{phrase[1:]}; {seeds(found.cross)}; queries: {asked}."


def seeds(table: pd.DataFrame) -> str:
    """ "seed 0" or "seeds 0, 1"."""
    seeds = [str(seed) for seed in table["seed"].unique()]
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(seeds)}"


def cross_domain(found: Findings) -> list[Figure]:
    """The matrix of both measures, the means of the settings, and the CMC."""
    table, said = plots.cross_domain(found.cross), scope(found)
    known = table[~table["source"].isin(SETTINGS)]
    figures = []
    for measure, name in (("rank1", "Rank-1"), ("mAP", "mAP")):
        cells = (f"{s} to {t} {percent(v)}" for s, t, v in known[["source", "target", measure]].to_numpy())
        caption = "In-domain on the diagonal; a stronger colour is higher. Intervals stand in the table."
        title = f"{name} of trained models"
        figures.append(chart(charts.heat(known, measure), title, f"{'; '.join(cells)}.", caption, said))
    return [*figures, _means(found, said), _cmc(found, said)]


def _means(found: Findings, said: str) -> Figure:
    names = [name for name in SETTINGS if name in set(found.cross["setting"])]
    rows = [
        _row(found.cross_known, cells_of(found.cross, name, "source"), name, measure, group, True)
        for name in names
        for measure, group in (("rank1", "rank-1"), ("mAP", "mAP"))
    ]
    caption = "Means over the cells of each setting, with 95 % intervals over people (and seeds)."
    svg = charts.intervals(pd.DataFrame(rows), "share")
    return chart(svg, "Settings", _words(rows), caption, said)


def _row(
    known: Evidence, cells: Sequence[tuple[str, str]], name: str, measure: str, group: str, sound: bool
) -> dict[str, object]:
    one = known.interval(cells, measure)
    place = {"name": name.replace("_", "-"), "group": group, "sound": sound}
    return place | {"value": one.value, "low": one.low, "high": one.high}


def _words(rows: Sequence[Mapping[str, object]]) -> str:
    parts = [
        f"{r['name']} {r['group']} {bracket(Interval(*(float(str(r[k])) for k in ('value', 'low', 'high'))))}"
        for r in rows
    ]
    return f"{'; '.join(parts)}."


def _cmc(found: Findings, said: str) -> Figure:
    wide = plots.cmc(found.cross_queries, found.cross)
    long = wide.melt("rank", var_name="name", value_name="share").assign(
        name=lambda table: table["name"].str.replace("_", "-")
    )
    at = wide.set_index("rank").loc[[1, 5, 20]]
    told = (f"{name} {' / '.join(percent(v) for v in at[name])}" for name in at.columns)
    words = f"At ranks 1, 5 and 20: {'; '.join(told)} per cent.".replace("_", "-")
    caption = (
        "Share of queries with a right answer at that rank or before, means over the cells of a setting."
    )
    svg = charts.lines(long, "rank", "share", ("rank", "queries matched"), share=True)
    return chart(svg, "Cumulative matching characteristic", words, caption, said)


def ablation(found: Findings) -> list[Figure]:
    """Both measures of every variant, in-domain and cross-domain, with intervals."""
    fits, figures = lowest_fit(found.arms), []
    for measure, name in (("rank1", "Rank-1"), ("mAP", "mAP")):
        rows = []
        for variant in found.arms["variant"].unique():
            own = found.arms[found.arms["variant"] == variant]
            for setting in own["setting"].unique():
                cells = cells_of(own, setting, "variant")
                sound = bool(fits[variant] >= found.fitted)
                group = setting.replace("_", "-")
                rows.append(_row(found.arms_known, cells, str(variant), measure, group, sound))
        caption = (
            f"Trained on {found.source}. Bars are 95 % intervals over people (and seeds); hollow marks are"
            " not comparable: they did not fit their training identities."
        )
        svg = charts.intervals(pd.DataFrame(rows), name)
        figures.append(chart(svg, f"{name} of the ablation", _words(rows), caption, scope(found)))
    return figures


def training(found: Findings, histories: Mapping[str, pd.DataFrame]) -> list[Figure]:
    """The figures of :func:`trained`, of runs and then of arms."""
    figures = []
    for told, arms in (("runs", False), ("ablation arms", True)):
        tables = _tables(histories, arms)
        figures += trained(tables, told, f"{HISTORY}; {seeds(found.cross)}; no queries of the test.")
    return figures


def trained(tables: Sequence[tuple[str, pd.DataFrame]], told: str, said: str) -> list[Figure]:
    """Loss, accuracy on training and validation identities, and attention entropy, where there are any.

    Args:
        tables: name -> its history, as of :func:`mean_history`.
        told: what is trained, in words.
        said: what the figures are computed from.
    """
    if not tables:
        return []
    curves = pd.concat([plots.history_curve(t)[["step", "loss"]].assign(name=n) for n, t in tables])
    svg = charts.lines(curves, "step", "loss", ("step", "loss"), share=False)
    caption = "Sum of the loss terms; arms with other terms have other sums. Neighbouring steps averaged."
    losses = chart(svg, f"Training loss, {told}", _ends(curves, "loss"), caption, said)
    looks = pd.concat([_looks(table).assign(name=name) for name, table in tables])
    svg = charts.lines(looks, "step", "rank1", ("step", "rank-1"), share=True, points=True)
    caption = "Rank-1 on training identities (solid) and on validation identities, unseen (dashed)."
    fits = chart(svg, f"Rank-1 in training, {told}", _ends(looks, "rank1"), caption, said)
    return [losses, fits, *_entropy(tables, told, said)]


def mean_history(histories: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean over seeds of equal steps."""
    return pd.concat(histories).groupby("step").mean().reset_index()


def _tables(histories: Mapping[str, pd.DataFrame], arms: bool) -> list[tuple[str, pd.DataFrame]]:
    """Histories by name without their seeds, means over seeds."""
    groups: dict[str, list[pd.DataFrame]] = {}
    for key, history in histories.items():
        if key.startswith("ablation-") == arms:
            groups.setdefault(key.removeprefix("ablation-").rsplit("-", 1)[0], []).append(history)
    return [(name, mean_history(own)) for name, own in groups.items()]


def _looks(table: pd.DataFrame) -> pd.DataFrame:
    sides = {"training": "train_rank1", "validation": "validation_rank1"}
    parts = [table[["step", c]].rename(columns={c: "rank1"}).assign(group=s) for s, c in sides.items()]
    return pd.concat(parts).dropna()


def _entropy(tables: Sequence[tuple[str, pd.DataFrame]], told: str, said: str) -> list[Figure]:
    rows = [
        table[["step", "attention_entropy"]].dropna().assign(name=name)
        for name, table in tables
        if "attention_entropy" in table
    ]
    if not rows:
        return []
    curves = pd.concat(rows)
    svg = charts.lines(curves, "step", "attention_entropy", ("step", "nats"), share=False, points=True)
    caption = (
        "Of the temporal token's weights on validation clips, the mean over layers and heads: 0 where one"
        " token gets all attention, ln(1 + T) where the T frames and the token itself get the same."
    )
    words = _ends(curves, "attention_entropy")
    return [chart(svg, f"Attention entropy in training, {told}", words, caption, said)]


def _ends(curves: pd.DataFrame, column: str) -> str:
    """First and last value of every line."""
    groups = ["name", "group"] if "group" in curves else ["name"]
    parts = []
    for key, rows in curves.groupby(groups, sort=False):
        name = " ".join(key) if isinstance(key, tuple) else key
        first, last = rows[column].iloc[0], rows[column].iloc[-1]
        parts.append(f"{name} from {first:.2f} to {last:.2f}")
    return f"{'; '.join(parts)}."


def attention(found: Findings, pictures: Pictures) -> list[Figure]:
    """Whether frames that show more of the person get more attention; nothing where visibility is unknown."""
    frames = attended(pictures).dropna(subset=["gap"])
    if frames.empty:
        return []
    bins = pd.cut(frames["gap"], EDGES, labels=BINS, include_lowest=True)
    rows = []
    for name in (pictures.left, pictures.right):
        for label in BINS:
            own = frames[(frames["variant"] == name) & (bins == label)]
            if len(own):
                one = people(own, "even")
                rows.append(
                    {"name": name, "bin": label, "value": one.value, "low": one.low, "high": one.high}
                )
    words = "; ".join(f"{r['name']}, {r['bin']} points: {r['value']:.3f}" for r in rows)
    svg = charts.bands(pd.DataFrame(rows), ("points more visible than the clip's mean", "weight / even"), 1.0)
    caption = (
        "How much of the temporal token's attention a frame gets, over an even share (the dashed line), by"
        " how much more or less of the person it shows than its clip does: a network that avoids occluded"
        " frames rises from left to right. 95 % intervals over people."
    )
    said = attention_scope(found, pictures)
    return [chart(svg, "Attention by visibility", f"{words}.", caption, said)]


def attention_scope(found: Findings, pictures: Pictures) -> str:
    """What the attention is computed from."""
    frames = pictures.frames[pictures.frames["variant"] == pictures.left]
    counted = f"{frames['tracklet'].nunique()} test tracklets, all of them queries, {len(frames)} frames"
    rules = found.protocol[found.source]["name"]
    return f"Test of {found.source} under protocol {rules}; seed {pictures.seed}; {counted}."


def attention_table(pictures: Pictures) -> str:
    """How the two networks share out the temporal token's attention, in a Markdown table."""
    frames = attended(pictures)
    strongest = frames.assign(
        tokens=np.exp(frames["entropy"]),
        strongest=[max(heads) for heads in frames["heads"]],
        spread=(frames["even"] - 1).abs(),
    )
    rows = []
    for name in (pictures.left, pictures.right):
        own = strongest[strongest["variant"] == name]
        top = (
            own.groupby(["identity", "tracklet", "clip"])[["strongest", "tokens", "token"]]
            .max()
            .reset_index()
        )
        cells = [f"{(one := people(top, 'tokens')).value:.2f} [{one.low:.2f}, {one.high:.2f}]"]
        cells += [bracket(people(top, column)) for column in ("token", "strongest")]
        cells.append(bracket(people(own, "spread")))
        rows.append([name, *cells])
    header = ("tokens that share it", "on itself, %", "most of a head on one frame, %", "frames off even, %")
    return markdown(["network", *header], rows)


def people(table: pd.DataFrame, column: str) -> Interval:
    """The mean of a column and its interval over identities."""
    identities, place = np.unique(table["identity"].to_numpy(np.int64), return_inverse=True)
    sums, counts = np.bincount(place, table[column].to_numpy(float)), np.bincount(place)
    return interval([Sample("attention", column, sums[None].astype(float), counts.astype(float), identities)])


def maps(found: Findings, pictures: Pictures) -> list[Figure]:
    """Test tracklets of all data sets in the space of the synthetic and of the fine-tuned model."""
    figures = []
    for model, table in pictures.maps.groupby("model", sort=False):
        shares = table.groupby("dataset", sort=False)["own"].mean()
        counts = table["dataset"].value_counts(sort=False)
        told = ", ".join(f"{name} {percent(share)}" for name, share in shares.items())
        trained = f"{found.synthetic}, then {model}" if model != found.synthetic else f"{model} alone"
        words = f"Of the ten nearest, from the own data set: {told} per cent."
        caption = (
            "Each mark is a test tracklet, near what the network finds alike (t-SNE: gaps and sizes of heaps"
            f" mean nothing). Of a tracklet's ten nearest in the full space, from its own data set: {told} %."
        )
        drawn = ", ".join(f"{count} {name}" for name, count in counts.items())
        said = f"No protocol is needed; seed {pictures.seed}; tracklets: {drawn}."
        points = table.rename(columns={"dataset": "name"})[["name", "x", "y"]]
        figures.append(chart(charts.scatter(points), f"Trained on {trained}", words, caption, said))
    return figures

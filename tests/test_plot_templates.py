"""DVC's plots: own templates tell curves apart without colour and show what changed between revisions."""

import re
from xml.etree import ElementTree

import pytest
import vl_convert
import yaml

from tests.tiny import ROOT

VERSIONS = ("5.8", "5.21")  # of Vega-Lite; DVC's page loads an older one than tools/plots.py
FOLDER = ROOT / ".dvc" / "plots"
Y = "dvc_inferred_y_value"  # DVC's name for the value where several columns are drawn


def drawn(template, points, version="5.21", **properties):
    """The SVG that DVC's page would show."""
    dvc_render = pytest.importorskip("dvc_render")
    renderer = dvc_render.VegaRenderer(points, "plot", template=template, template_dir=FOLDER, **properties)
    return vl_convert.vegalite_to_svg(renderer.get_filled_template(), vl_version=version)


def words(svg):
    return [text.text for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def matrix(*revisions, **kwargs):
    points = [
        {"source": s, "target": t, "rank1": str(0.1 + 0.02 * number), "rev": rev}
        for number, rev in enumerate(revisions)
        for s in ("campus", "winter")
        for t in ("campus", "winter")
    ]
    return drawn("matrix", points, x="target", y="rank1", title="Matrix", **kwargs)


def curves(*revisions, **kwargs):
    points = [
        {"rank": str(rank), Y: str(0.1 * rank + 0.02 * number), "field": field, "rev": rev}
        for number, rev in enumerate(revisions)
        for field in ("in_domain", "cross_domain", "untrained")
        for rank in (1, 2, 3)
    ]
    return drawn("curves", points, x="rank", y=Y, y_label="queries, %", title="CMC", **kwargs)


def bars(*revisions, **kwargs):
    points = [
        {"variant": variant, Y: str(0.3 + 0.01 * number), "field": f"rank1_{setting}", "rev": rev}
        for number, rev in enumerate(revisions)
        for setting in ("in_domain", "cross_domain")
        for variant in ("cnn", "vanilla")
    ]
    return drawn("bars", points, x="variant", y=Y, y_label="rank-1, %", title="Ablation", **kwargs)


def training(*revisions, **kwargs):
    points = [
        {"filename": f"{model}-{seed}.tsv", "step": str(step), "loss": str(9 / step + number), "rev": rev}
        for number, rev in enumerate(revisions)
        for model in ("training/campus", "ablation_training/cnn-small")
        for seed in (0, 11)
        for step in range(1, 41)
    ]
    points.append({**points[0], "loss": ""})  # nothing was measured at this step
    return drawn("training", points, x="step", y="loss", y_label="loss", title="Loss", **kwargs)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("revisions", [("workspace",), ("workspace", "HEAD"), ("HEAD", "main", "workspace")])
@pytest.mark.parametrize("draw", [matrix, curves, bars, training])
def test_every_template_is_drawn_for_any_number_of_revisions(draw, revisions, version):
    svg = draw(*revisions, version=version)
    assert "NaN" not in svg
    assert words(svg)


def test_the_colours_of_the_matrix_span_the_data():
    fills = set(re.findall(r'aria-roledescription="rect mark"[^>]*fill="([^"]+)"', matrix("a")))
    assert len(fills) == 1  # all cells are equal
    points = [
        {"source": "s", "target": t, "rank1": value, "rev": "a"}
        for t, value in (("x", "0.50"), ("y", "0.51"), ("z", "0.52"))
    ]
    svg = drawn("matrix", points, x="target", y="rank1", title="")
    fills = re.findall(r'aria-roledescription="rect mark"[^>]*fill="rgb\((\d+),', svg)
    assert int(max(fills, key=int)) - int(min(fills, key=int)) > 100


def test_two_revisions_show_the_change_against_the_one_that_is_not_the_workspace():
    for revisions, change in ((("HEAD", "workspace"), "+2.0 (12.0)"), (("workspace", "HEAD"), "-2.0 (10.0)")):
        shown = words(matrix(*revisions).replace("\N{MINUS SIGN}", "-"))
        assert any(text.startswith("workspace minus HEAD") for text in shown)
        assert shown.count(change) == 4
    assert "31.0 (+1.0) workspace" in words(bars("HEAD", "workspace"))
    assert any("minus HEAD" in text for text in words(curves("HEAD", "workspace")))


def test_curves_differ_by_dash_and_by_shape():
    svg = curves("workspace")
    dashes = re.findall(r'aria-roledescription="line mark"[^>]*?(?:stroke-dasharray="([^"]+)")?>', svg)
    assert len(dashes) == 3
    assert len(set(re.findall(r'stroke-dasharray="([^"]+)"', svg)) | {""}) >= 3


def test_all_models_and_seeds_are_in_one_plot():
    svg = training("workspace")
    assert svg.count('aria-roledescription="line mark"') == 4
    assert {"campus", "ablation: cnn-small"} <= set(words(svg))
    panels = words(training("workspace", "HEAD"))
    assert panels.count("campus") == 1  # with two revisions, a panel of each model
    assert {"workspace", "HEAD"} <= set(panels)


def test_a_curve_that_grows_is_drawn_as_far_as_it_is_trained():
    points = [
        {"filename": "training/campus-0.tsv", "step": str(step), "loss": str(9 / step), "rev": rev}
        for rev, steps in (("HEAD", 41), ("workspace", 11))
        for step in range(1, steps)
    ]
    svg = drawn("training", points, x="step", y="loss", y_label="loss", title="Loss")
    lines = re.findall(r'aria-roledescription="line mark"[^>]*? d="([^"]+)"', svg)
    ends = [max(float(x) for x in re.findall(r"[ML]([\d.]+),", line)) for line in lines]
    assert min(ends) / max(ends) == pytest.approx(10 / 40)


def test_every_plot_has_a_template():
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    templates = [each["template"] for plot in plots for each in plot.values()]
    assert templates
    assert all((FOLDER / f"{name}.json").exists() for name in templates)

"""The report: every section, figure and table, whole, offline, linked and described."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from sttreid.analysis.spread import Publication, seed_results
from sttreid.analysis.uncertainty import MIN_IDENTITIES, MIN_SEEDS
from sttreid.report import charts
from sttreid.report.page import report, summary_chart, training_figures
from sttreid.report.render import Bullets, Clips, Figure, RankedList, Table, html, markdown, walk
from sttreid.report.tables import TEXT
from sttreid.retrieval.metrics import HEADLINE
from tests.analysis.contents import history
from tests.report.conftest import CLAIMS, PUBLISHED


class Document(HTMLParser):
    """Tags with their attributes, and headings with their text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.headings, self.open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("h1", "h2", "h3", "h4"):
            self.open = (tag, "")

    def handle_data(self, data):
        if self.open:
            self.open = (self.open[0], self.open[1] + data)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[0]:
            self.headings.append(self.open)
            self.open = None

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def blocks(page, kind):
    return [block for section in page.sections for block in walk(section.blocks) if isinstance(block, kind)]


def test_every_figure_and_table_is_there(page):
    metrics, training = len(HEADLINE), 6
    # matrices, settings, CMC; ablation; training; attention by visibility; two maps
    assert len(blocks(page, Figure)) == metrics + 2 + metrics + training + 1 + 2
    # verdicts, paper (2); effects, verdicts of this run
    # matrix, settings, baselines; strangers; ablation; attention; counts; difficulty; shift
    assert len(blocks(page, Table)) == 3 + 2 + 3 + 1 + 1 + 1 + 1 + 1 + 1
    assert len(blocks(page, Clips)) == 4
    assert len(blocks(page, RankedList)) == 3


def test_the_run_stands_beside_seeds_of_its_protocol_alone(results, page):
    """A heading without numbers would be left of seeds that were published in another protocol."""
    found = seed_results(results.cross)
    captions = []
    for name in ("embedded", "market"):
        protocols = dict.fromkeys(found.protocol, name)
        seeds = Publication("a" * 40, "native", {"seeds": [0, 1]}, found.numbers, protocol=protocols)
        beside = report(replace(results, published_seeds=seeds))
        captions.append([block.caption for block in blocks(beside, Table)])
    assert len(captions[0]) == len(captions[1]) + 1
    assert captions[1] == [block.caption for block in blocks(page, Table)]


def test_every_distinct_machine_has_one_line(page):
    (section,) = [each for each in page.sections if each.title == "Provenance"]
    (lines,) = [block.items for block in section.blocks if isinstance(block, Bullets)]
    assert len(lines) == 2
    assert [re.findall(r"\d+", line)[-1] for line in lines] == ["2", "1"]
    assert "Some processor" in markdown(page)


def test_markdown_has_the_tables_of_the_page(page):
    text = markdown(page)
    for section in page.sections:
        assert (f"## {section.title}" in text) != section.visual


def test_headings_never_skip_a_level(whole):
    levels = [int(tag[1]) for tag, _ in Document(whole).headings]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_link_has_a_target_and_every_id_is_unique(whole):
    document = Document(whole)
    ids = [attributes["id"] for _, attributes in document.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {link["href"].removeprefix("#") for link in document.of("a")} <= set(ids)
    labels = {a["aria-labelledby"] for _, a in document.tags if "aria-labelledby" in a}
    assert labels <= set(ids)


def test_images_have_descriptions_and_sizes(whole):
    document = Document(whole)
    images = document.of("img")
    assert len(images) == 3 * 4 + 2 * 3
    assert all(image["alt"] and int(image["width"]) > 0 and int(image["height"]) > 0 for image in images)
    charts_ = [a for _, a in document.tags if a.get("role") == "img"]
    assert len(charts_) == len(document.of("svg"))
    assert all(chart["aria-label"] for chart in charts_)


def test_nothing_is_loaded_and_nothing_runs(whole):
    document = Document(whole)
    assert not document.of("script")
    for _, attributes in document.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "@import" not in whole
    assert "url(" not in whole


def test_figures_have_captions_and_tables_scopes(whole):
    document = Document(whole)
    assert len(document.of("figure")) == len(document.of("figcaption"))
    assert all(header.get("scope") for header in document.of("th"))
    assert len(document.of("caption")) == len(document.of("table"))
    assert document.of("html") == [{"lang": "en"}]
    assert "width=device-width" in whole


def test_equal_results_give_equal_bytes(whole, results):
    assert whole == html(report(results))


def test_variants_that_are_underfit_are_hollow(page):
    (figure, *_) = (f for f in blocks(page, Figure) if f.title.startswith("Ablation"))
    table = figure.chart.data
    hollow = table.groupby("name")["hollow"].first()
    assert hollow.to_dict() == {"vanilla": False, "spatial": True, "full": False}


def test_steps_of_the_paper_are_shown_where_both_variants_were_run(page):
    (table,) = (t for t in blocks(page, Table) if t.caption.startswith("Steps"))
    ((*_, step, in_domain, _),) = table.rows
    assert step == "vanilla → spatial (not comparable)"
    assert in_domain.text.startswith("-15.0 [")


def test_few_seeds_and_identities_are_reported(page):
    (run,) = (section for section in page.sections if section.title == "This run")
    lead = run.blocks[0]
    assert f"fewer than {MIN_SEEDS} seeds" in lead
    assert f"fewer than {MIN_IDENTITIES} test identities" in lead


def test_unknown_visibility_makes_no_figure_of_it(results):
    visuals = replace(results.visuals, frames=results.visuals.frames.assign(visibility=np.nan))
    page = report(replace(results, visuals=visuals))
    assert not [f for f in blocks(page, Figure) if f.title == "Attention by visibility"]


def test_training_figures_are_means_over_seeds():
    figures = training_figures({"a": [history(0.9), history(0.7)], "b": [history(1.0, False)]}, "runs")
    assert len(figures) == 3
    rank1 = figures[1].data.rows
    assert ["a", "training", "50.0", "80.0"] in rank1
    assert [row[0] for row in figures[2].data.rows] == ["a"]
    assert training_figures({}, "runs") == []


@pytest.fixture(scope="module")
def several(results):
    """The same results, of which those on winter follow another protocol."""
    protocols = dict(results.cross.protocols)
    protocols["winter"] = protocols["winter"] | {"name": "market", "unmatched": "zero"}
    cross, tried = (replace(scores, protocols=protocols) for scores in (results.cross, results.ablation))
    return replace(results, cross=cross, ablation=tried)


@pytest.fixture(scope="module")
def several_page(several):
    """Their report."""
    return report(several)


def test_two_protocols_are_both_described(several_page):
    text = markdown(several_page)
    assert "embedded (campus, station)" in text
    assert "market (winter)" in text


@pytest.fixture(scope="module")
def static(results):
    """The static figure."""
    return charts.svg(summary_chart(results), charts.STATIC)


@pytest.mark.parametrize("name", ["vanilla", "full", "unreal"])
def test_the_static_figure_names_every_model(static, name):
    assert f">{name}<" in static


def test_what_other_parameters_made_is_left_out_and_said(results, page):
    stale = report(replace(results, claims=None, domains=None, stale=["cnn"], fingerprint="p123456789"))
    said = [TEXT["left_out"].format(names=each) for each in (TEXT["effects"], TEXT["separability"], "cnn")]
    assert set(said) <= set(blocks(stale, str))
    assert "p123456789" in markdown(stale)
    assert stale.sections[0].title == "Verdicts"  # those of a publication are not this run's
    usual = blocks(page, str)
    assert not [text for text in usual if text.startswith(TEXT["left_out"].partition("{")[0])]
    tables = {table.caption for table in blocks(page, Table)}
    gone = tables - {table.caption for table in blocks(stale, Table)}
    assert len(gone) == 3  # effects, verdicts of this run; domain shift
    assert len(blocks(stale, Table)) == len(blocks(page, Table)) - 3


def test_the_figures_of_several_protocols_have_marks_for_each(several, several_page):
    figures = {figure.title: figure for figure in blocks(several_page, Figure)}
    names = {row["name"] for row in figures["Settings"].chart.to_dict()["datasets"].popitem()[1]}
    assert {"in-domain (embedded)", "in-domain (market)"} <= names
    assert "in-domain" not in names
    columns = figures["Cumulative matching characteristic"].data.columns
    assert {"in-domain", "in-domain market"} <= set(columns)
    assert TEXT["mixed"] in blocks(several_page, str)
    message = charts.svg(summary_chart(several), charts.STATIC)
    assert {"(embedded)", "(market)"} <= set(re.findall(r"\(\w+\)", message))


def test_static_figures_have_intervals(results, static):
    inside = re.findall(r">\[(\d+\.\d), (\d+\.\d)\]<", static)
    assert len(inside) == len(results.cross.targets) * 4  # every cell of the matrix
    assert all(float(low) <= float(high) for low, high in inside)


def test_what_is_open_is_one_of_each_kind(page):
    lists = blocks(page, RankedList)
    assert [each.open for each in lists] == [True, False, False]
    assert sum(each.open for each in blocks(page, Clips)) == 2


def test_without_publications_the_page_says_so(results, page, whole):
    bare = report(replace(results, published_claims=[]))
    assert bare.sections[0].title == "Verdicts"
    assert len(blocks(bare, Table)) == len(blocks(page, Table)) - 2
    assert html(bare) != whole


def test_every_verdict_says_which_study_it_is_of(results):
    """Contrasts of two studies have one name; only what is trained on one data set stands side by side."""
    origin = {"study": "large", "folder": "metrics/large/ab", "commit": "ab"}
    effect = {"rank1": {"effect": -0.3, "low": -0.4, "high": -0.2, "verdict": "supported"}}
    contrast = CLAIMS["contrasts"]["spatial-vanilla"] | {"in_domain": effect}
    large = PUBLISHED | {"publication": origin, "trained_on": "campus-large"}
    large |= {"contrasts": {"spatial-vanilla": contrast}}
    page = report(replace(results, published_claims=[large, PUBLISHED]))
    verdicts = [each for each in blocks(page, Table) if each.columns[0].startswith("verdicts of")]
    assert [each.columns[0] for each in verdicts] == [
        "verdicts of the study large",
        "verdicts of the study claims",
        "verdicts of this run",
    ]
    assert ["-30.0" in str(each.rows) for each in verdicts] == [True, False, False]
    assert all(each.columns[0].removeprefix("verdicts ") in each.caption for each in verdicts)
    (beside,) = (each for each in blocks(page, Table) if each.columns[0] == "compared")
    assert "verdict of the study claims" in beside.columns
    paragraphs = [each for each in blocks(page, str) if "campus-large" in each]
    assert len(paragraphs) == 1
    text = markdown(page)
    for each in verdicts:
        assert f"| {each.columns[0]} |" in text
        assert each.caption in text


def test_the_columns_of_a_table_have_different_names(page):
    for table in blocks(page, Table):
        assert len(set(table.columns)) == len(table.columns), table.caption

"""The page says what was run, how it was scored, and what may not be concluded."""

import pytest

from sttreid.report.breakdown import breakdown_table
from sttreid.report.page import report
from sttreid.report.summary import shifts
from sttreid.report.tables import (
    ablation_table,
    against_baselines,
    counts_table,
    cross_domain_table,
    means_table,
    paper_table,
    shift_table,
)
from sttreid.runtime.errors import InputError

TARGETS = ["campus", "winter", "station"]


@pytest.fixture
def page(found):
    """Results and cells -> the page."""
    return lambda results, cells: report(found(results, cells))


def test_the_page_holds_every_table_once(found, results, cells):
    told = found(results, cells)
    text = report(told)
    table, known = told.cross, told.cross_known
    tables = (
        counts_table(table),
        cross_domain_table(table, known, TARGETS),
        means_table(table, known, "unreal"),
        *(f"- {sentence}\n" for sentence in against_baselines(table, known)),
        breakdown_table(told.cross_queries, TARGETS),
        shift_table(shifts(table, told.domains), known),
        ablation_table(told.arms, told.arms_known, 0.95),
        paper_table(),
    )
    assert [text.count(part) for part in tables] == [1] * 10


def test_one_seed_is_called_inconclusive_in_both_parts(page, results, cells):
    text = page(results[:1], [cell for cell in cells if cell["seed"] == 0])
    assert text.count("One seed was run: differences are inconclusive") == 2
    assert "with seed 0." in text
    assert "inconclusive" not in page(results, cells)


def test_few_seeds_and_people_are_called_few_in_both_parts(page, results, cells):
    few = "With 2 seeds and 20 people, which are few, intervals are too narrow"
    assert page(results, cells).count(few) == 2
    assert "with fewer than 30 people, or 5 seeds, an interval is too narrow" in page(results, cells)


def test_the_protocol_is_that_of_the_results(page, results, cells):
    text = page(results, cells)
    assert "## Protocol: embedded\n\nMade for these tests.\n" in text
    assert "mix these protocols" not in text
    assert "All people and cameras are rendered" in text
    assert "- gallery: all; junk never answers\n" in text
    assert "- a query never meets the tracklets of the same identity and camera, itself included\n" in text
    assert "average precision: step; queries without a match are left out and counted" in text
    assert "- ties: pessimistic, a wrong answer ranks before a right one" in text
    other = {"average_precision": "trapezoid", "unmatched": "zero", "gallery": "without queries"}
    for result in results:
        result["protocol"]["winter"] |= other | {"name": "mars-official"}
    text = page(results, cells)
    assert text.index("## Protocol of campus, station: embedded") < text.index(
        "## Protocol of winter: mars-official"
    )
    assert "Means over several targets mix these protocols." in text
    assert "rendered" not in text.partition("## Protocol")[0]
    assert "average precision: trapezoid; queries without a match score 0" in text
    assert "- gallery: without queries; junk never answers\n" in text


def test_the_papers_figures_stand_below_a_heading_that_says_other_data(page, results, cells):
    ours, paper = page(results, cells).split("## What the paper reports, on other data")
    assert "86.3 / 88.7" in paper
    assert "86.3" not in ours


def test_reused_models_are_named(page, results, cells):
    assert "stands for" not in page(results, cells)
    for cell in cells[:2]:
        cell["reuses"] = True
    assert "The fine-tuned model of campus, trained once for both tables, stands for vanilla." in page(
        results, cells
    )


def test_the_page_ends_in_one_newline_and_has_no_trailing_spaces(page, results, cells):
    text = page(results, cells)
    assert text.endswith("|\n")
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_the_sections_run_from_the_matrix_over_its_reasons_to_the_ablation(page, results, cells):
    headings = [line for line in page(results, cells).splitlines() if line.startswith("## ")]
    assert headings == [
        "## Protocol: embedded",
        "## Cross-domain",
        "## What makes a query hard",
        "## How far apart the domains are",
        "## Ablation",
        "## What the paper reports, on other data",
    ]


def test_a_pair_that_was_not_compared_is_refused(page, results, cells, domains):
    del domains["accuracy"]["winter"]["unreal"]
    with pytest.raises(
        InputError, match=r"domains\.json: the accuracy of the pair unreal, winter is missing"
    ):
        page(results, cells)

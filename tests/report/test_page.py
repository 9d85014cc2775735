"""The page says what was run, how it was scored, and what may not be concluded."""

from functools import partial

import pytest

from sttreid.errors import InputError
from sttreid.report.page import report
from sttreid.report.summary import arms, matrix, shifts
from sttreid.report.tables import ablation_table, cross_domain_table, means_table, paper_table, shift_table

TARGETS = ["campus", "winter", "station"]


@pytest.fixture
def page(domains):
    """The page of results and cells."""
    return partial(report, targets=TARGETS, synthetic="unreal", fitted=0.95, domains=domains)


def test_the_page_holds_every_table_once(page, results, cells, domains):
    text = page(results, cells)
    table = matrix(results, TARGETS, "unreal")
    tables = (
        cross_domain_table(table, TARGETS),
        means_table(table, "unreal"),
        shift_table(shifts(table, domains)),
        ablation_table(arms(cells), 0.95),
        paper_table(),
    )
    assert [text.count(part) for part in tables] == [1] * 5


def test_one_seed_is_called_inconclusive_in_both_parts(page, results, cells):
    text = page(results[:1], [cell for cell in cells if cell["seed"] == 0])
    assert text.count("One seed was run: differences are inconclusive") == 2
    assert "with seed 0." in text
    assert "inconclusive" not in page(results, cells)


def test_the_protocol_is_that_of_the_results(page, results, cells):
    text = page(results, cells)
    assert "## Protocol: embedded\n\nMade for these tests.\n" in text
    assert "- queries: all tracklets of test; gallery: all tracklets of test and distractors\n" in text
    assert "average precision: step; queries without a match are left out and counted" in text
    for result in results:
        result["protocol"] |= {"average_precision": "trapezoid", "unmatched": "zero"}
    assert "average precision: trapezoid; queries without a match score 0" in page(results, cells)


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


def test_results_that_do_not_belong_together_are_refused(page, results, cells):
    with pytest.raises(InputError, match="ablation results"):
        page(results, cells[:3])


def test_the_domains_stand_between_the_matrix_and_the_ablation(page, results, cells):
    headings = [line for line in page(results, cells).splitlines() if line.startswith("## ")]
    assert headings[1:4] == ["## Cross-domain", "## How far apart the domains are", "## Ablation"]


def test_a_pair_that_was_not_compared_is_refused(page, results, cells, domains):
    del domains["accuracy"]["winter"]["unreal"]
    with pytest.raises(
        InputError, match=r"domains\.json: the accuracy of the pair unreal, winter is missing"
    ):
        page(results, cells)

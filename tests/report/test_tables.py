"""Markdown tables: shape, marks, and numbers against the results they come from."""

import numpy as np
import pytest

from sttreid.report.summary import arms, matrix, shifts
from sttreid.report.tables import (
    ablation_table,
    against_baselines,
    counts_table,
    cross_domain_table,
    markdown,
    means_table,
    paper_table,
    percent,
    queries_sentence,
    seeds_sentence,
    shift_table,
    verdict,
)

TARGETS = ["campus", "winter", "station"]


def rows(table):
    """The cells of a pipe table, its rule left out."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert len({len(line) for line in lines}) == 1
    return [line for line in lines if not set("".join(line)) <= set(":-")]


def test_a_table_has_a_header_a_rule_and_escaped_bars():
    text = markdown(["a", "b"], [["x|y", "1"]])
    assert text == "| a | b |\n| :-- | --: |\n| x\\|y | 1 |"


def test_the_matrix_shows_every_cell_and_marks_the_in_domain_ones(results):
    header, *lines = rows(cross_domain_table(matrix(results[:1], TARGETS, "unreal"), TARGETS))
    assert header == ["trained on", *(f"{target}, mAP / R-1" for target in TARGETS)]
    assert [line[0] for line in lines] == [*TARGETS, "unreal", "untrained", "histogram", "equalised"]
    assert lines[1] == ["winter", "15.0 / 30.0", "**25.0 / 50.0**", "15.0 / 30.0"]
    assert sum(cell.startswith("**") for line in lines for cell in line) == 3


def test_several_seeds_show_their_mean_and_standard_deviation(results):
    _, *lines = rows(means_table(matrix(results, TARGETS, "unreal"), "unreal"))
    assert [line[1] for line in lines] == [
        "27.5 ± 3.5 / 55.0 ± 7.1",
        "17.5 ± 3.5 / 35.0 ± 7.1",
        "12.5 ± 3.5 / 25.0 ± 7.1",
        "2.0 ± 0.0 / 4.0 ± 0.0",
        "12.5 ± 0.0 / 25.0 ± 0.0",
        "25.0 ± 0.0 / 50.0 ± 0.0",
    ]


def test_one_seed_shows_no_standard_deviation(results):
    assert "±" not in means_table(matrix(results[:1], TARGETS, "unreal"), "unreal")


def test_the_counts_are_those_of_the_results(results):
    table = rows(counts_table(matrix(results, TARGETS, "unreal")))
    assert table[0] == ["tested on", "queries", "dropped", "gallery", "of these distractors"]
    assert table[1:] == [
        ["campus", "100", "0", "120", "20"],
        ["winter", "101", "1", "122", "21"],
        ["station", "102", "2", "124", "22"],
    ]


def test_the_shifts_have_one_row_a_source_and_target(results, domains):
    results[1]["sources"]["unreal"]["campus"]["rank1"] = 0.2
    header, *lines = rows(shift_table(shifts(matrix(results, TARGETS, "unreal"), domains)))
    told = ["told apart", "own model, R-1", "this model, R-1", "drop, points"]
    assert header == ["trained on", "tested on", *told]
    assert [tuple(line[:2]) for line in lines] == [
        (s, t) for s in (*TARGETS, "unreal") for t in TARGETS if s != t
    ]
    constant = ["90.0 ± 1.0", "55.0 ± 7.1", "35.0 ± 7.1", "20.0 ± 0.0"]
    assert lines[0] == ["campus", "winter", *constant]
    assert lines[2] == ["winter", "campus", *constant]
    assert lines[6] == ["unreal", "campus", "75.0 ± 5.0", "55.0 ± 7.1", "20.0 ± 0.0", "35.0 ± 7.1"]
    single = rows(shift_table(shifts(matrix(results[:1], TARGETS, "unreal"), domains)))
    assert single[1] == ["campus", "winter", "90.0 ± 1.0", "50.0", "30.0", "20.0"]


def test_an_arm_that_does_not_fit_is_marked_with_its_lowest_seed(cells):
    _, vanilla, spatial = rows(ablation_table(arms(cells), 0.95))
    assert vanilla[:6] == ["vanilla", "ST + TT, vanilla", "yes", "900 + 1500", "97.0", "48.5"]
    assert spatial[2] == "not comparable: fits only 31.0 % of its training identities"
    assert vanilla[6:] == ["22.5 ± 3.5 / 45.0 ± 7.1", "15.0 ± 3.5 / 30.0 ± 7.1"]


def test_an_ablation_without_other_targets_shows_none(cells):
    for cell in cells:
        cell["targets"] = {"campus": cell["targets"]["campus"]}
    assert [line[-1] for line in rows(ablation_table(arms(cells), 0.95))[1:]] == ["-", "-"]


def test_the_threshold_itself_is_comparable():
    assert verdict(0.95, 0.95) == "yes"
    assert verdict(0.9499, 0.95).startswith("not comparable")


def test_baselines_are_compared_by_their_means(results):
    untrained, histogram, equalised = against_baselines(matrix(results[:1], TARGETS, "unreal"))
    assert untrained == "untrained, 2.0 mAP: in-domain above, cross-domain above, direct-transfer above"
    assert histogram == "histogram, 12.5 mAP: in-domain above, cross-domain above, direct-transfer not above"
    assert equalised.startswith("equalised, 25.0 mAP: ")


@pytest.mark.parametrize(
    "known", ["86.3 / 88.7", "78.0 / 87.5", "- / 50.6", "- / 60.5", "about +3.9", "not known"]
)
def test_the_paper_table_holds_what_is_known(known):
    assert known in paper_table()


def test_one_seed_is_called_inconclusive():
    assert "inconclusive" in seeds_sentence(1)
    assert "inconclusive" not in seeds_sentence(3)
    assert "3 seeds" in seeds_sentence(3)


def test_the_standard_error_of_rank1_follows_from_the_number_of_queries():
    draws = np.random.default_rng(0).random((20_000, 100)) < 0.5
    assert 100 * draws.mean(axis=1).std() == pytest.approx(5.0, abs=0.1)
    assert queries_sentence(100).endswith("at least 5.0 points.")


def test_per_cent_has_one_decimal():
    assert [percent(share) for share in (0, 0.5, 0.12345, 1)] == ["0.0", "50.0", "12.3", "100.0"]
    assert [percent(share) for share in (-1e-17, -0.0004, -0.0006)] == ["0.0", "0.0", "-0.1"]

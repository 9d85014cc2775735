"""Markdown tables: shape, marks, and numbers against the results they come from."""

import pytest

from sttreid.analysis.uncertainty import Interval
from sttreid.report.summary import matrix, shifts
from sttreid.report.tables import (
    ablation_table,
    against_baselines,
    bracket,
    counts_table,
    cross_domain_table,
    markdown,
    marked,
    means_table,
    paper_table,
    percent,
    protocols_phrase,
    seeds_sentence,
    shift_table,
    verdict,
)
from tests.report.conftest import numbers

TARGETS = ["campus", "winter", "station"]


def rows(table):
    """The cells of a pipe table, its rule left out."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert len({len(line) for line in lines}) == 1
    return [line for line in lines if not set("".join(line)) <= set(":-")]


def test_a_table_has_a_header_a_rule_and_escaped_bars():
    text = markdown(["a", "b"], [["x|y", "1"]])
    assert text == "| a | b |\n| :-- | --: |\n| x\\|y | 1 |"


def test_the_matrix_shows_every_cell_and_marks_the_in_domain_ones(results, cross):
    table, known = cross(results[:1])
    header, *lines = rows(cross_domain_table(table, known, TARGETS))
    assert header == ["trained on", *(f"{target}, mAP / R-1" for target in TARGETS)]
    assert [line[0] for line in lines] == [*TARGETS, "unreal", "untrained", "histogram", "equalised"]
    plain = [cell.strip("*").split(" / ") for cell in lines[1][1:]]
    assert [mean for mean, _ in plain] == ["15.0 [15.0, 15.0]", "25.0 [25.0, 25.0]", "15.0 [15.0, 15.0]"]
    for target, (_, first) in zip(TARGETS, plain, strict=True):
        assert first == bracket(known.interval([("winter", target)], "rank1"))
        assert first.startswith("50.0 [" if target == "winter" else "30.0 [")
    bold = [(line[0], t) for line in lines for t, c in zip(TARGETS, line[1:], strict=True) if "**" in c]
    assert bold == [(target, target) for target in TARGETS]
    assert all(
        line[i + 1].startswith("**") and line[i + 1].endswith("**") for i, line in enumerate(lines[:3])
    )


def test_the_columns_come_in_the_order_asked_for(results, cross):
    table, known = cross(results[:1])
    forth, back = (rows(cross_domain_table(table, known, order)) for order in (TARGETS, TARGETS[::-1]))
    assert [line[:1] + line[:0:-1] for line in back] == forth


def test_the_means_are_over_cells_and_seeds_with_their_intervals(results, cross):
    table, known = cross(results)
    _, *lines = rows(means_table(table, known, "unreal"))
    assert [line[1].split(" / ")[0] for line in lines] == [
        "27.5 [25.0, 30.0]",  # every query has the mean: only the seeds spread
        "17.5 [15.0, 20.0]",
        "12.5 [10.0, 15.0]",
        "2.0 [2.0, 2.0]",
        "12.5 [12.5, 12.5]",
        "25.0 [25.0, 25.0]",
    ]
    firsts = [line[1].split(" / ")[1] for line in lines]
    assert [first.split(" [")[0] for first in firsts] == ["55.0", "35.0", "25.0", "4.0", "25.0", "50.0"]
    assert lines[2][0] == "direct transfer: trained on unreal alone"
    assert firsts[2] == bracket(known.interval([("unreal", target) for target in TARGETS], "rank1"))


def test_one_seed_has_an_interval_too(results, cross):
    table, known = cross(results[:1])
    assert means_table(table, known, "unreal").count("25.0 [25.0, 25.0] / 50.0 [") == 2


def test_the_counts_are_those_of_the_results(results):
    table = rows(counts_table(matrix(results, TARGETS, "unreal")))
    told = ["queries", "without a match", "gallery", "of these distractors", "left out", "junk removed"]
    assert table[0] == ["tested on", *told]
    assert table[1:] == [
        ["campus", "100", "0", "120", "20", "0", "0"],
        ["winter", "200", "1", "122", "21", "3", "5"],
        ["station", "300", "2", "124", "22", "6", "10"],
    ]


def test_the_shifts_have_one_row_a_source_and_target(results, domains, cross):
    results[1]["sources"]["unreal"]["campus"]["rank1"] = 0.2
    table, known = cross(results)
    header, *lines = rows(shift_table(shifts(table, domains), known))
    told = ["told apart", "own model, R-1", "this model, R-1", "drop, points"]
    assert header == ["trained on", "tested on", *told]
    assert [tuple(line[:2]) for line in lines] == [
        (s, t) for s in (*TARGETS, "unreal") for t in TARGETS if s != t
    ]
    values = [line[:3] + [cell.split(" [")[0] for cell in line[3:]] for line in lines]
    assert values[0] == ["campus", "winter", "90.0 ± 1.0", "55.0", "35.0", "20.0"]
    assert values[2] == ["winter", "campus", "90.0 ± 1.0", "55.0", "35.0", "20.0"]
    assert values[6] == ["unreal", "campus", "75.0 ± 5.0", "55.0", "20.0", "35.0"]
    for source, target, _, own, other, drop in lines:
        ours, theirs = [(target, target)], [(source, target)]
        assert own == bracket(known.interval(ours, "rank1"))
        assert other == bracket(known.interval(theirs, "rank1"))
        assert drop == marked(known.difference(ours, theirs, "rank1"))


def test_a_drop_that_its_interval_does_not_tell_from_none_says_so(results, domains, cross):
    results[0]["sources"]["campus"]["winter"] = numbers(0.52, "winter")  # of the own model: 0.5
    results[1]["sources"]["campus"]["winter"] = numbers(0.58, "winter")  # and 0.6
    table, known = cross(results)
    _, first, second, *_ = rows(shift_table(shifts(table, domains), known))
    assert first[-1].startswith("0.0 [")
    assert first[-1].endswith("], not told apart")
    assert second[-1].endswith("]")


def test_an_arm_that_does_not_fit_is_marked_with_its_lowest_seed(cells, ablated):
    table, known = ablated(cells)
    _, vanilla, spatial = rows(ablation_table(table, known, 0.95))
    assert vanilla[:6] == ["vanilla", "ST + TT, vanilla", "yes", "900 + 1500", "97.0", "48.5"]
    assert spatial[2] == "not comparable: fits only 31.0 % of its training identities"
    assert vanilla[6].startswith("22.5 [20.0, 25.0] / 45.0 [")
    assert vanilla[7].startswith("15.0 [12.5, 17.5] / 30.0 [")
    others = [("vanilla", "winter"), ("vanilla", "station")]
    assert vanilla[7].endswith(bracket(known.interval(others, "rank1")))


def test_an_ablation_without_other_targets_shows_none(cells, ablated):
    for cell in cells:
        cell["targets"] = {"campus": cell["targets"]["campus"]}
    assert [line[-1] for line in rows(ablation_table(*ablated(cells), 0.95))[1:]] == ["-", "-"]


def test_the_threshold_itself_is_comparable():
    assert verdict(0.95, 0.95) == "yes"
    assert verdict(0.9499, 0.95).startswith("not comparable")


def test_baselines_are_compared_on_the_same_queries(results, cross):
    untrained, histogram, equalised = against_baselines(*cross(results[:1]))
    assert untrained == (
        "untrained, 2.0 mAP: in-domain above, 23.0 [23.0, 23.0]; cross-domain above, 13.0 [13.0, 13.0];"
        " direct-transfer above, 8.0 [8.0, 8.0]"
    )
    assert histogram == (
        "histogram, 12.5 mAP: in-domain above, 12.5 [12.5, 12.5]; cross-domain above, 2.5 [2.5, 2.5];"
        " direct-transfer below, -2.5 [-2.5, -2.5]"
    )
    assert equalised.startswith("equalised, 25.0 mAP: in-domain not told apart, 0.0 [0.0, 0.0]; ")


def test_a_baseline_that_only_some_seeds_beat_is_not_told_apart(results, cross):
    histogram = against_baselines(*cross(results))[1]
    assert "direct-transfer not told apart, 0.0 [-2.5, 2.5]" in histogram


@pytest.mark.parametrize(
    "known", ["86.3 / 88.7", "78.0 / 87.5", "- / 50.6", "- / 60.5", "about +3.9", "not known"]
)
def test_the_paper_table_holds_what_is_known(known):
    assert known in paper_table()


def test_one_seed_is_called_inconclusive():
    assert "inconclusive" in seeds_sentence(1, 60)
    assert seeds_sentence(1, 60).endswith("60 or more a data set; of training again they say nothing.")
    assert "inconclusive" not in seeds_sentence(3, 60)
    assert "Means over 3 seeds." in seeds_sentence(3, 60)


@pytest.mark.parametrize(
    ("seeds", "people", "few"),
    [
        (1, 30, ""),
        (5, 30, ""),
        (1, 29, "With 29 people, which are few,"),
        (4, 30, "With 4 seeds, which are few,"),
        (2, 12, "With 2 seeds and 12 people, which are few,"),
    ],
)
def test_few_seeds_or_people_are_said_to_give_intervals_that_are_too_narrow(seeds, people, few):
    sentence = seeds_sentence(seeds, people)
    assert ("intervals are too narrow: two models that do not differ" in sentence) == bool(few)
    assert few in sentence


def test_a_bracket_holds_the_ends_in_per_cent():
    assert bracket(Interval(0.5, 0.4321, 0.6)) == "50.0 [43.2, 60.0]"
    assert bracket(Interval(0.0, -0.0001, 0.1)) == "0.0 [0.0, 10.0]"


def test_per_cent_has_one_decimal():
    assert [percent(share) for share in (0, 0.5, 0.12345, 1)] == ["0.0", "50.0", "12.3", "100.0"]
    assert [percent(share) for share in (-1e-17, -0.0004, -0.0006)] == ["0.0", "0.0", "-0.1"]


def test_protocols_are_named_once_where_they_are_one():
    assert protocols_phrase({"a": "market", "b": "market"}) == "protocol market"
    told = protocols_phrase({"a": "market", "b": "mars-official"})
    assert told == "protocols market of a, mars-official of b"

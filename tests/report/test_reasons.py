"""The sections behind the answers, on arms whose numbers are known."""

import re
from dataclasses import replace

import pytest

from sttreid.report.arms import study
from sttreid.report.reasons import reasons
from tests.report.studies import CLAIMS, TARGETS, history, runs


@pytest.fixture
def found():
    new = [
        replace(
            run,
            train_rank1=0.9 + 0.02 * n,
            history=history([0.2, 0.3, 0.3, 0.4], [1.2 + 0.1 * n, 1.0, 0.9, 0.8 - 0.1 * n]),
        )
        for n, run in enumerate(runs("new", 0.7))
    ]
    old = [replace(run, train_rank1=1.0, history=history([0.1, 0.2])) for run in runs("old", 0.4)]
    before = [replace(run, train_rank1=None, steps=0) for run in runs("old-untrained", 0.4)]
    return study([*new, *old, *before], "here", TARGETS, 0.9)


def rows(page, title):
    """The cells of the first table below a heading."""
    section = page.split(f"## {title}\n")[1]
    lines = re.findall(r"^\|.*\|$", section.split("\n\n## ")[0], re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_gap_is_the_training_rank1_less_that_of_the_own_test(found):
    header, _, new, old = rows(reasons(found, CLAIMS), "Over-fitting")
    assert header == ["arm", "training", "validation", "test of here", "gap"]
    assert new[:3] == ["new", "92.0", "40.0"]
    assert old[:3] == ["old", "100.0", "20.0"]
    for cells in (new, old):
        tested = [
            run.queries[run.queries["target"] == "here"].dropna(subset=["ap"]) for run in found.arms[cells[0]]
        ]
        rate = 100 * sum((table["first_hit"] == 1).mean() for table in tested) / 3
        assert float(cells[3]) == pytest.approx(rate, abs=0.051)
        assert float(cells[4]) == pytest.approx(float(cells[1]) - rate, abs=0.11)


def test_attention_is_told_of_arms_that_have_a_temporal_token(found):
    table = rows(reasons(found, CLAIMS), "Attention while training")
    assert table[2:] == [["new", "1.300 (10)", "1.000 (20)", "0.700 (40)", "0.80, 0.70, 0.60"]]


def test_conditions_have_a_column_an_arm_and_then_one_a_judged_contrast(found):
    page = reasons(found, CLAIMS)
    table = rows(page, "Which queries")
    assert table[0] == ["queries (how many)", "new", "old"]
    assert ["queries", "new against old"] in table
    assert "old against new" not in page


def test_what_is_not_known_has_no_section(found):
    columns = ["visibility", "length", "turn"]
    bare = [
        replace(
            run,
            queries=run.queries.drop(columns=columns),
            history=run.history.drop(columns="attention_entropy"),
        )
        for run in found.arms["new"]
    ]
    page = reasons(study(bare, "there-not", TARGETS, 0.9), CLAIMS)
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == ["Over-fitting"]
    assert rows(page, "Over-fitting")[2][3:] == ["-", "-"]

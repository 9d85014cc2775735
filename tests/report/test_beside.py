"""The paper's numbers stand beside ours, step by step, and doubtful variants are marked."""

from sttreid.report.beside import beside
from sttreid.report.tables import bracket


def test_both_sides_stand_in_one_row(found, results, cells):
    told = found(results, cells)
    text = beside(told)
    assert "| MARS | 86.3 / 88.7 | campus | 27.5 [" in text
    assert "| iLIDS-VID | - / 87.5 | - | - |" in text


def test_a_step_is_the_paired_gain_of_two_variants_that_were_run(found, results, cells):
    told = found(results, cells)
    known = told.arms_known
    own = bracket(known.difference([("spatial", "campus")], [("vanilla", "campus")], "rank1"))
    others = [[(name, target) for target in ("winter", "station")] for name in ("spatial", "vanilla")]
    rows = [line for line in beside(told).splitlines() if "constraint |" in line or "branch |" in line]
    assert rows == [
        "| spatial constraint | MARS → DukeMTMC-VideoReID, R-1 | 50.6 → 60.5 (+9.9) | vanilla → spatial* |"
        f" {own} | {bracket(known.difference(*others, 'rank1'))} |"
    ]

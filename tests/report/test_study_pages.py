"""Pages of claims, learning curves and tuning: every number has its row, every figure its scope."""

from dataclasses import replace

import pytest

from sttreid.analysis.claims import content, findings
from sttreid.analysis.phrases import signed
from sttreid.analysis.spread import seed_results
from sttreid.analysis.trials import Curve, curve_effects, search
from sttreid.config.claims import Contrast
from sttreid.report.render import Cell, Figure, Table, html, markdown
from sttreid.report.study_pages import claims_page, curves_page, seeds_page, tuning_page
from sttreid.retrieval.metrics import HEADLINE
from tests.analysis.contents import TARGETS, cross_domain, cross_domain_content
from tests.analysis.studies import CLAIMS, TWO_PROTOCOLS, history, of_runs, runs, trained

NUMBERS = (15, 30)
CURVES = [Curve(name, [f"{name}-{n}" for n in NUMBERS], NUMBERS) for name in ("new", "old")]


@pytest.fixture(scope="module")
def study():
    """Two variants, one with a temporal token, three seeds."""
    new = [trained(run, 0.95, validation=[0.2, 0.5], entropy=[1.2, 0.8]) for run in runs("new", 0.7)]
    old = [trained(run, 0.95, validation=[0.2, 0.5]) for run in runs("old", 0.4)]
    return of_runs([*new, *old])


@pytest.fixture(scope="module")
def results(study):
    """What is found in it."""
    return findings(study, CLAIMS)


@pytest.fixture(scope="module")
def page(study, results):
    """Its page."""
    return claims_page(study, results, CLAIMS)


@pytest.fixture(scope="module")
def bare(study):
    """The same study without properties of queries and without attention, which most of a page is about."""
    properties = ["visibility", "length", "viewpoint_change"]
    every = [
        replace(
            run,
            history=history([0.2]),
            queries={name: table.drop(columns=properties) for name, table in run.queries.items()},
        )
        for group in study.variants.values()
        for run in group
    ]
    return of_runs(every)


@pytest.fixture(scope="module")
def bare_results(bare):
    """What is found in it."""
    return findings(bare, CLAIMS)


@pytest.fixture(scope="module")
def bare_page(bare, bare_results):
    """Its page."""
    return claims_page(bare, bare_results, CLAIMS)


@pytest.fixture(scope="module")
def points():
    """Two variants with two numbers of identities; one point of "old" is underfit with one seed."""
    every = [
        trained(
            run,
            0.8 if (name, n, run.seed) == ("old", 15, 1) else 1.0,
            validation=[0.1, n / 100 + run.seed / 50],
        )
        for name, rate in (("new", 0.6), ("old", 0.3))
        for n in NUMBERS
        for run in runs(f"{name}-{n}", rate + n / 200)
    ]
    return of_runs(every)


def blocks(page, kind, title=None):
    return [
        block
        for section in page.sections
        if title in (None, section.title)
        for block in section.blocks
        if isinstance(block, kind)
    ]


def rendered(page):
    """The HTML page, which needs no script and is the same each time."""
    text = html(page)
    assert text == html(page)
    assert "<script" not in text
    assert "NaN" not in text
    return text


def test_the_claims_page_has_a_row_for_every_finding(results, page):
    (effects,) = blocks(page, Table, "Effects")
    assert [row[0] for row in effects.rows] == [each.contrast.question for each in results]
    assert all(str(each.verdict) in row[4].text for row, each in zip(effects.rows, results, strict=True))
    (verdicts,) = blocks(page, Table, "Verdicts")
    assert len(verdicts.rows) == 4
    assert "new against old" in markdown(page)


def test_the_verdicts_show_the_numbers_of_the_effects(bare, bare_results):
    for value in (0.00445, 0.004446, 0.490478, 0.06448):  # some would change if they were rounded twice
        ends = {"value": value, "low": value - 0.1, "high": value + 0.1}
        moved = [replace(each, effect=each.effect and replace(each.effect, **ends)) for each in bare_results]
        page = claims_page(bare, moved, CLAIMS)
        (effects,), (verdicts,) = (blocks(page, Table, name) for name in ("Effects", "Verdicts"))
        (shown,) = {row[7] for row in effects.rows if row[3] == "rank-1"} - {"-"}
        cells = [cell.text for row in verdicts.rows for cell in row if isinstance(cell, Cell)]
        (found,) = {text.rpartition("new against old ")[2] for text in cells if "new against old" in text}
        assert found == shown == signed(**ends)


def test_the_claims_page_compares_training_and_test_and_follows_attention(study, page):
    (variants,) = blocks(page, Table, "Variants and over-fitting")
    for row in variants.rows:
        rates = 100 * study.accuracy(row[0], ["home"], "rank1").seeds
        assert [float(cell) for cell in row[2:5]] == [95.0, 95.0, 50.0]
        assert float(row[5]) == pytest.approx(95 - rates.mean(), abs=0.051)
        assert [float(cell) for cell in row[6].split(", ")] == pytest.approx(rates, abs=0.051)
    (entropy,) = blocks(page, Table, "Attention entropy in training")
    assert entropy.rows == [["new", "1.200 (10)", "1.200 (10)", "0.800 (20)", "0.80, 0.80, 0.80"]]


def test_every_figure_of_claims_has_a_scope_and_is_drawn(page):
    figures = blocks(page, Figure)
    tested = "Protocol embedded; seeds 0, 1, 2; queries: 86 home, 86 away."
    untested = "No test queries; seeds 0, 1, 2."
    assert len(figures) == len(HEADLINE) + 3 + 3  # metrics, training, properties
    drawn = [section for section in page.sections if any(isinstance(b, Figure) for b in section.blocks)]
    assert [section.scope for section in drawn] == [tested, untested, tested]
    assert all(section.caption for section in drawn)
    text = rendered(page)
    assert all(figure.title in text for figure in figures)
    assert text.count("<svg") >= len(figures)


def test_without_properties_and_attention_their_sections_are_left_out(page, bare_page):
    titles, left = ([section.title for section in each.sections] for each in (page, bare_page))
    assert "Variants and over-fitting" in left
    assert set(titles) - set(left) == {"Subgroups of queries", "Attention entropy in training"}


def test_a_missing_variant_has_a_row_without_numbers(study):
    alone = of_runs(study.variants["new"])
    page = claims_page(alone, findings(alone, CLAIMS), CLAIMS)
    (effects,) = blocks(page, Table, "Effects")
    assert {cell for row in effects.rows for cell in row[5:]} == {"-"}
    assert all("old" in row[4].text for row in effects.rows if row[4].text.startswith("inconclusive"))
    rendered(page)


def test_the_curves_page_has_a_row_for_each_point_slope_and_difference(points):
    contrasts = {"a": Contrast("RQ2", "new", "old", confirmatory=False)}
    effects = curve_effects(points, CURVES, contrasts)
    page = curves_page(points, CURVES, effects, contrasts, "finetune")
    (table,) = blocks(page, Table, "Points")
    assert [row[:2] for row in table.rows] == [["new", "15"], ["new", "30"], ["old", "15*"], ["old", "30"]]
    (slopes,) = blocks(page, Table, "Slopes")
    assert [row[0] for row in slopes.rows] == ["new", "old"]
    (differences,) = blocks(page, Table, "Differences")
    assert [row[1] for row in differences.rows] == ["15", "30", "doubling"]
    assert len(blocks(page, Figure)) == 5  # direct transfer was not tested
    rendered(page)
    assert "Differences" not in markdown(
        curves_page(points, CURVES, curve_effects(points, CURVES, {}), {}, "pretrain")
    )


def test_the_curves_page_says_how_long_each_point_is_trained(points):
    longer = [
        replace(run, steps=777 if run.variant.endswith("30") else 333)
        for group in points.variants.values()
        for run in group
    ]
    leads = [
        markdown(curves_page(study, CURVES, curve_effects(study, CURVES, {}), {}, "finetune"))
        for study in (points, of_runs(longer))
    ]
    assert [[number in lead for number in ("333", "777")] for lead in leads] == [[False] * 2, [True] * 2]


def test_the_tuning_page_marks_the_choice():
    histories = {
        ("first", trial): [history([rank1]).assign(train_rank1=fit)]
        for trial, rank1, fit in (("slow", 0.35, 0.95), ("fast", 0.45, 0.91))
    }
    found = search(histories, 0.9)
    (table,) = [
        block for block in tuning_page(found, {7: found}, "campus", 0.9).lead if isinstance(block, Table)
    ]
    assert table.rows == [["first", Cell("35.0 / 95.0"), Cell("45.0 / 91.0", bold=True)]]
    page = tuning_page(found, {7: found, 8: found}, "campus", 0.9)
    _, alone = [block for block in page.lead if isinstance(block, Table)]
    assert alone.rows == [[*table.rows[0], "7"], [*table.rows[0], "8"]]
    assert "seeds 7, 8" in markdown(page)


def test_the_page_of_seeds_has_a_row_for_every_number_and_baseline():
    results = seed_results(cross_domain([cross_domain_content(0), cross_domain_content(1)]))
    page = seeds_page(results)
    (table,) = [block for block in page.lead if isinstance(block, Table)]
    assert len(table.rows) == 4 + 4 * len(TARGETS) + 3
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["campus → winter"][0] == "35.0 ± 7.1"
    low, high = (float(end) for end in rows["campus → winter"][1].strip("[]").split(", "))
    assert low < 35 < high
    assert {len(row) for row in rows.values()} == {2 * len(HEADLINE)}
    assert "35.0 ± 7.1" in markdown(page)
    rendered(page)


def test_pages_have_numbers_for_each_protocol(study, points):
    mixed = of_runs(
        [run for group in study.variants.values() for run in group], "another", protocols=TWO_PROTOCOLS
    )
    page = claims_page(mixed, findings(mixed, CLAIMS), CLAIMS)
    (effects,) = blocks(page, Table, "Effects")
    assert len({row[2] for row in effects.rows}) == 2
    (variants,) = blocks(page, Table, "Variants and over-fitting")
    for row in variants.rows:
        for column, target in ((7, "home"), (8, "away")):
            rates = 100 * mixed.accuracy(row[0], [target], "rank1").seeds
            assert [float(cell) for cell in row[column].split(", ")] == pytest.approx(rates, abs=0.051)
    rates, _ = blocks(page, Table, "Subgroups of queries")
    labels = [row[0] for row in rates.rows]
    assert len(set(labels)) == len(labels) == len(mixed.subgroups())
    rendered(page)
    mixed = of_runs(
        [run for group in points.variants.values() for run in group], "another", protocols=TWO_PROTOCOLS
    )
    page = curves_page(mixed, CURVES, curve_effects(mixed, CURVES, {}), {}, "finetune")
    (table,) = blocks(page, Table, "Points")
    assert [sum("cross" in column for column in table.columns)] == [2]
    rendered(page)


def test_a_study_that_trains_on_another_set_says_so(bare, bare_results, bare_page):
    large = replace(bare, trained_on="park-large")
    found = findings(large, CLAIMS)
    assert "park-large" in claims_page(large, found, CLAIMS).lead[0]
    assert "park-large" not in bare_page.lead[0]
    made = [content(large, found, CLAIMS), content(bare, bare_results, CLAIMS)]
    assert [each.get("trained_on") for each in made] == ["park-large", None]
    assert made[0]["source"] == made[1]["source"]


def test_steps_that_round_to_zero_have_no_minus(bare, results):
    finding = next(each for each in results if each.measure == "steps" and each.effect)
    small = replace(finding, effect=replace(finding.effect, value=-0.3, low=-0.4, high=0.2))
    page = claims_page(bare, [small], CLAIMS)
    (effects,) = blocks(page, Table, "Effects")
    assert effects.rows[0][effects.columns.index("effect")] == "+0 [0, 0]"

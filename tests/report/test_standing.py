"""Published verdicts and numbers come first, and this run stands beside them."""

from dataclasses import replace

import pytest

from sttreid.analysis.spread import Publication, seed_results
from sttreid.report.render import Cell
from sttreid.report.standing import (
    claims_table,
    effects_table,
    numbers_table,
    paper_tables,
    with_definitions,
)
from sttreid.retrieval.metrics import HEADLINE
from tests.analysis.contents import cross_domain, cross_domain_content
from tests.report.conftest import CLAIMS, PUBLISHED


def text(cell):
    return cell.text if isinstance(cell, Cell) else cell


def test_a_verdict_comes_with_the_effects_of_its_confirmatory_contrasts():
    (row,) = claims_table(CLAIMS).rows
    (cell,) = (cell for cell in row if isinstance(cell, Cell) and cell.mark == "good")
    assert cell.text == "supported: spatial against vanilla +10.0 [5.0, 15.0]"


def test_an_early_publication_gets_what_its_contrasts_compare():
    content = with_definitions(PUBLISHED, CLAIMS)
    table = claims_table(content)
    assert list(content["contrasts"]) == ["spatial-vanilla"]  # what nobody defines is not shown
    ((_, in_domain, interaction, _),) = table.rows
    assert (in_domain.mark, in_domain.text) == (
        "bad",
        "not supported: spatial against vanilla +2.0 [1.0, 3.0]",
    )
    assert interaction.text == "inconclusive"
    assert "cross_domain_more" in PUBLISHED["questions"]["RQ2"]["verdict"]  # the argument is unchanged


def test_without_definitions_of_this_run_a_publication_keeps_its_verdicts():
    content = with_definitions(PUBLISHED, None)
    assert content["contrasts"] == {}
    ((_, in_domain, interaction, _),) = claims_table(content).rows
    assert (in_domain.text, interaction.text) == ("not supported", "inconclusive")
    complete = {**PUBLISHED, "contrasts": CLAIMS["contrasts"]}  # as a publication of today
    assert with_definitions(complete, None)["contrasts"] == CLAIMS["contrasts"]


def test_effects_of_this_run_are_compared_with_the_published_interval():
    table = effects_table(with_definitions(PUBLISHED, CLAIMS), CLAIMS)
    ((_, setting, verdict, before, here, side),) = table.rows
    assert (setting, verdict.mark, side) == ("in-domain", "bad", "above")
    assert (before, here) == ("+2.0 [1.0, 3.0]", "+10.0 [5.0, 15.0]")
    assert effects_table({**PUBLISHED, "contrasts": {}}, CLAIMS) is None


def test_a_target_stands_beside_its_own_set_of_the_paper():
    rendered = cross_domain([cross_domain_content(0)])
    names = dict(zip(rendered.targets, ("duke-official", "ilids-3", "market"), strict=True))
    protocols = {target: {**rendered.protocols[target], "name": name} for target, name in names.items()}

    def beside(scores):
        sets, *_ = paper_tables(scores, scores, {})
        return [(row[0], row[4]) for row in sets.rows]

    first, second, third = rendered.targets
    papers = ["MARS", "DukeMTMC-VideoReID", "LS-VID", "iLIDS-VID"]
    assert beside(rendered) == list(zip(papers, [first, second, third, "-"], strict=True))
    own = ["-", first, "-", second]
    assert beside(replace(rendered, protocols=protocols)) == [*zip(papers, own, strict=True), ("-", third)]


def test_a_publication_keeps_its_own_definitions():
    """Contrasts of two studies may have one name and compare other variants; those have no common effect."""
    own = CLAIMS["contrasts"]["spatial-vanilla"] | {"ours": "small", "confirmatory": False}
    published = {**PUBLISHED, "contrasts": {"spatial-vanilla": own}}
    assert with_definitions(published, CLAIMS)["contrasts"] == {"spatial-vanilla": own}
    assert effects_table(with_definitions(published, CLAIMS), CLAIMS) is None


@pytest.mark.parametrize("change", [{"protocol": {"campus": "embedded-reranked"}}, {"source": "winter"}])
def test_effects_that_were_tested_differently_are_not_compared(change):
    published = with_definitions({**PUBLISHED, "protocol": CLAIMS["protocol"]}, CLAIMS)
    assert effects_table(published, CLAIMS) is not None
    assert effects_table(published, {**CLAIMS, **change}) is None


def test_numbers_stand_beside_the_published_seeds():
    published = seed_results(cross_domain([cross_domain_content(0), cross_domain_content(1)]))
    params = {"seeds": [0, 1]}
    publication = Publication(
        "a" * 40, "native", params, published.numbers, published.baselines, protocol=published.protocol
    )
    table = numbers_table(publication, cross_domain([cross_domain_content(1)]))
    rows = {row[0]: [text(cell) for cell in row[1:]] for row in table.rows}
    assert len(table.columns) == 1 + 2 * len(HEADLINE)
    published_rank1, here = rows["in-domain"][:2]
    assert published_rank1.startswith("55.0 [")
    assert here.startswith("60.0, identical")
    assert set(rows) == {"in-domain", "cross-domain", "direct transfer", "cross-domain drop"}

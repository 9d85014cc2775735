"""The spread of numbers over seeds, its publications, and a run beside one of them."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from sttreid.analysis import spread
from sttreid.analysis.spread import Publication, Spread, Verdict
from sttreid.retrieval.metrics import HEADLINE
from sttreid.runtime.errors import InputError
from sttreid.runtime.provenance import Provenance
from tests.analysis.contents import (
    PER_IDENTITY,
    PROTOCOL,
    QUERIES,
    TARGETS,
    cross_domain,
    cross_domain_content,
)
from tests.tiny import parameters

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def scores():
    """Three seeds: in-domain 0.5, 0.6, 0.7, cross-domain 0.2 below, direct transfer 0.3 below."""
    return cross_domain([cross_domain_content(seed) for seed in SEEDS])


@pytest.fixture(scope="module")
def results(scores):
    return spread.seed_results(scores)


def publish(root, results, commit, date, **changes):
    """Write a publication as `sttreid run-study` does."""
    folder = root / "metrics" / "seeds" / commit[:10]
    folder.mkdir(parents=True)
    params = parameters({}) | {"study": {"analysis": "seeds"}, "seeds": list(SEEDS)}
    content = Provenance("seeds", commit, False, date, 1, [], params, {"campus": "1"}, {}, [], {"a.pt": "2"})
    (folder / "provenance.json").write_text(json.dumps(asdict(content) | changes))
    (folder / "seeds.json").write_text(json.dumps(spread.content(results)))


def test_every_setting_and_cell_has_its_mean_and_sample_deviation(results):
    cells = {f"{model}->{target}" for model in (*TARGETS, "unreal") for target in TARGETS}
    settings = {"in_domain", "cross_domain", "direct_transfer", "cross_domain_drop"}
    assert set(results.numbers) == {metric.name for metric in HEADLINE}
    for numbers in results.numbers.values():
        assert set(numbers) == settings | cells
    rank1 = results.numbers["rank1"]
    for name, values in (
        ("in_domain", (0.5, 0.6, 0.7)),
        ("cross_domain", (0.3, 0.4, 0.5)),
        ("direct_transfer", (0.2, 0.3, 0.4)),
        ("cross_domain_drop", (0.2, 0.2, 0.2)),
        ("winter->station", (0.3, 0.4, 0.5)),
    ):
        assert rank1[name].values == pytest.approx(dict(zip(SEEDS, values, strict=True))), name
        assert rank1[name].mean == pytest.approx(np.mean(values))
        assert rank1[name].sd == pytest.approx(np.std(values, ddof=1))
    assert results.numbers["mAP"]["in_domain"].mean == pytest.approx(0.3)


def test_intervals_are_those_of_the_scores(scores, results):
    expected = scores.interval(scores.cells("cross_domain"), "rank1")
    found = results.numbers["rank1"]["cross_domain"]
    assert (found.low, found.high) == (expected.low, expected.high)
    assert found.low < found.mean < found.high


def test_baselines_and_counts_stand_apart(results):
    assert set(results.baselines["rank1"]) == {"untrained", "histogram", "equalised"}
    assert results.baselines["rank1"]["equalised"].values == pytest.approx(dict.fromkeys(SEEDS, 0.5))
    assert results.queries == QUERIES
    assert results.identities == {target: number // PER_IDENTITY for target, number in QUERIES.items()}
    assert results.protocol == dict.fromkeys(TARGETS, "embedded")


def test_the_table_has_a_row_for_each_number_and_seed(results):
    table = spread.table(results)
    assert len(table) == len(SEEDS) * sum(map(len, results.numbers.values()))
    row = table[(table["metric"] == "mAP") & (table["name"] == "in_domain") & (table["seed"] == 2)]
    assert row["value"].tolist() == pytest.approx([0.35])


def test_one_seed_has_no_spread():
    with pytest.raises(InputError, match=r"at least 2 seeds, got \[0\]"):
        spread.seed_results(cross_domain([cross_domain_content(0)]))


def test_the_newest_publication_is_read(results, tmp_path):
    assert spread.published(tmp_path) is None
    publish(tmp_path, results, "b" * 40, "2026-01-02T00:00:00+00:00")
    publish(tmp_path, results, "a" * 40, "2026-03-01T00:00:00+00:00")
    publish(tmp_path, results, ".partial" + "c" * 32, "2026-04-01T00:00:00+00:00")
    found = spread.published(tmp_path)
    assert found is not None
    assert found.commit == "a" * 40
    assert found.numbers == results.numbers
    assert found.baselines == results.baselines
    assert found.params["seeds"] == list(SEEDS)
    assert (found.tracklets, found.models) == ({"campus": "1"}, {"a.pt": "2"})


def test_the_numerics_are_those_of_the_parameters(results, tmp_path):
    publish(tmp_path, results, "a" * 40, "2026-01-01T00:00:00+00:00")
    params = parameters({})
    params["compute"]["numerics"] = "portable"
    publish(tmp_path, results, "b" * 40, "2026-01-02T00:00:00+00:00", params=params)
    assert spread.published(tmp_path).numerics == "portable"


def test_a_damaged_publication_is_named(results, tmp_path):
    publish(tmp_path, results, "a" * 40, "2026-01-01T00:00:00+00:00")
    (tmp_path / "metrics" / "seeds" / ("a" * 10) / "seeds.json").write_text("{}")
    with pytest.raises(InputError, match=r"seeds\.json: .*numbers is missing"):
        spread.published(tmp_path)


def test_a_further_seed_lies_in_the_prediction_interval():
    """Coverage by simulation: the interval of five seeds contains a sixth in 95 % of cases."""
    draws = np.random.default_rng(0).normal(0.5, 0.02, (4000, 6))
    inside = 0
    for *seeds, further in draws.tolist():
        low, high = Spread(
            float(np.mean(seeds)), float(np.std(seeds, ddof=1)), dict(enumerate(seeds))
        ).expected
        inside += low <= further <= high
    assert inside / len(draws) == pytest.approx(0.95, abs=0.01)


def publication(results):
    return Publication("a" * 40, "native", parameters({}), results.numbers, protocol=results.protocol)


def test_a_run_is_identical_within_or_outside(results):
    run = cross_domain([cross_domain_content(1)])
    rows = spread.compare(publication(results), run)
    assert len(rows) == sum(map(len, results.numbers.values()))
    assert {row.verdict for row in rows} == {Verdict.IDENTICAL}
    assert all(row.published == row.value for row in rows)

    moved = cross_domain_content(1)
    moved["sources"]["campus"]["winter"] |= {"rank1": 0.45, "mAP": 0.45 / 2}
    moved["sources"]["campus"]["station"] |= {"rank1": 1.0, "mAP": 0.225}
    rows = {
        (row.metric, row.name): row for row in spread.compare(publication(results), cross_domain([moved]))
    }
    assert rows["rank1", "campus->winter"].verdict == Verdict.WITHIN
    assert rows["rank1", "campus->station"].verdict == Verdict.OUTSIDE
    assert rows["rank1", "winter->campus"].verdict == Verdict.IDENTICAL
    assert rows["rank1", "campus->winter"].published == pytest.approx(0.4)


def test_a_seed_that_was_not_published_is_never_identical(results):
    rows = spread.compare(publication(results), cross_domain([cross_domain_content(seed) for seed in (0, 4)]))
    new = [row for row in rows if row.seed == 4]
    assert len(rows) == 2 * len(new)
    assert {row.published for row in new} == {None}
    assert Verdict.IDENTICAL not in {row.verdict for row in new}


def test_numbers_of_other_targets_are_left_out(results):
    run = cross_domain([cross_domain_content(0)], targets=["campus", "winter"])
    names = {row.name for row in spread.compare(publication(results), run)}
    assert names == {f"{model}->{target}" for model in (*run.targets, "unreal") for target in run.targets}


def test_numbers_of_another_protocol_are_left_out(results):
    """Re-ranking renames the protocol, because re-ranked results are never compared with plain ones."""
    content = cross_domain_content(1)
    for target in TARGETS:
        content["protocol"][target] = PROTOCOL | {"name": "embedded-reranked"}
    assert spread.compare(publication(results), cross_domain([content])) == []
    plain = spread.compare(publication(results), cross_domain([cross_domain_content(1)]))
    content["protocol"]["campus"] = PROTOCOL
    some = spread.compare(publication(results), cross_domain([content]))
    assert some == [row for row in plain if row.name.endswith("->campus")]


def test_parameters_that_decide_the_numbers_are_compared():
    theirs = parameters({}) | {"study": {"analysis": "seeds"}}
    del theirs["compute"]["numerics"]  # of an old publication
    ours = parameters({"loss.entropy": 0.1, "visualise.top_k": 3, "seeds": [7]})
    ours["datasets"]["mine"] = {"reader": "mars", "root": "sets/mine"}
    ours["compute"]["numerics"] = "portable"
    assert spread.differing_params(theirs, theirs) == []
    assert spread.differing_params(ours, theirs) == [
        "loss.entropy 0.1 (published: 0.2)",
        "compute.numerics portable (published: not set)",
    ]


def of_two_protocols(seed):
    """Winter has another protocol, and a rank-1 that is higher by a tenth."""
    content = cross_domain_content(seed)
    content["protocol"]["winter"] = PROTOCOL | {"name": "market"}
    for source in content["sources"].values():
        source["winter"]["rank1"] += 0.1
    return content


def test_every_protocol_has_means_and_drops_of_its_own(results, tmp_path):
    scores = cross_domain([of_two_protocols(seed) for seed in SEEDS])
    mixed = spread.seed_results(scores)
    settings = {"in_domain", "cross_domain", "direct_transfer", "cross_domain_drop"}
    names = {f"{name} {protocol}" for name in settings for protocol in ("embedded", "market")}
    cells = {name for name in results.numbers["rank1"] if "->" in name}
    assert set(mixed.numbers["rank1"]) == names | cells
    assert mixed.numbers["rank1"]["in_domain embedded"].mean == pytest.approx(0.6)
    assert mixed.numbers["rank1"]["in_domain market"].mean == pytest.approx(0.7)
    assert mixed.numbers["rank1"]["cross_domain_drop market"].mean == pytest.approx(0.2)
    assert set(mixed.baselines["rank1"]) == {
        f"{name} {protocol}"
        for name in ("untrained", "histogram", "equalised")
        for protocol in ("embedded", "market")
    }
    publish(tmp_path, mixed, "a" * 40, "2026-01-01T00:00:00+00:00")
    found = spread.published(tmp_path)
    rows = spread.compare(found, cross_domain([of_two_protocols(1)]))
    assert {row.name for row in rows} == names | cells
    assert {row.verdict for row in rows} == {Verdict.IDENTICAL}
    plain = spread.compare(found, cross_domain([cross_domain_content(1)]))
    assert {row.name for row in plain} == {name for name in cells if not name.endswith("->winter")}


def test_a_published_mean_is_found_by_its_targets(results, tmp_path):
    publish(tmp_path, results, "a" * 40, "2026-01-01T00:00:00+00:00")
    one = spread.published(tmp_path)
    embedded = dict.fromkeys(TARGETS, "embedded")
    assert one.of_targets("in_domain", embedded)["rank1"] == results.numbers["rank1"]["in_domain"]
    assert not one.of_targets("in_domain", {"winter": "embedded"})
    assert not one.of_targets("in_domain", dict.fromkeys(TARGETS, "market"))
    mixed = spread.seed_results(cross_domain([of_two_protocols(seed) for seed in SEEDS]))
    publish(tmp_path, mixed, "b" * 40, "2026-01-02T00:00:00+00:00")
    two = spread.published(tmp_path)
    market = two.of_targets("in_domain", {"winter": "market"})
    assert market["mAP"] == mixed.numbers["mAP"]["in_domain market"]
    assert not two.of_targets("in_domain", {"winter": "embedded"})
    assert not two.of_targets("in_domain", embedded)

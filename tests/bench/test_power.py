import numpy as np
import pandas as pd
import pytest

from bench.power import bootstrap, differences, report, seed_interval, unpaired


def outcomes(gain: float, spread: float = 0.0, seeds: int = 5, identities: int = 60) -> pd.DataFrame:
    """Hits of two models on three queries of every identity; the first is better by `gain`."""
    rng = np.random.default_rng(1)
    rows = []
    for target in ("a", "b"):
        for seed in range(seeds):
            shift = rng.normal(0, spread)
            for identity in range(identities):
                for query in range(3):
                    for model, chance in (("with", 0.5 + gain + shift), ("without", 0.5)):
                        key = (target, 3 * identity + query, identity, model, seed)
                        rows.append((*key, int(rng.random() < chance)))
    return pd.DataFrame(rows, columns=["target", "query", "identity", "model", "seed", "hit"])


def test_differences_are_sums_over_the_queries_of_an_identity() -> None:
    table = outcomes(0.2, seeds=2, identities=4)
    cells = differences(table)
    assert list(cells) == ["a", "b"]
    for target in ("a", "b"):
        cell = cells[target]
        assert cell.shape == (4, 2, 2)
        for identity in range(4):
            for seed in range(2):
                group = table.query("target == @target and identity == @identity and seed == @seed")
                hits = group.groupby("model")["hit"].sum()
                assert cell[identity, seed].tolist() == [hits["with"] - hits["without"], 3]


def test_the_spread_of_independent_queries_is_that_of_the_binomial_or_a_little_more() -> None:
    """Drawing seeds and identities counts noise of single queries up to three times: a known, safe bias."""
    drawn = bootstrap(differences(outcomes(0.0)), seed=0)
    expected = np.sqrt(2 * 0.25 / (3 * 60 * 5) / 2)  # two models, 900 trials a set, mean of two sets
    assert 0.9 * expected < drawn.std() < 1.9 * expected
    assert abs(drawn.mean()) < 4 * expected


def test_the_bootstrap_equals_seeds_and_identities_drawn_one_by_one() -> None:
    cells = differences(outcomes(0.1, 0.05, seeds=4, identities=25))
    rng = np.random.default_rng(0)
    slow = np.zeros(4000)
    for number in range(len(slow)):
        seeds = rng.integers(0, 4, 4)  # one draw of seeds for both sets
        for cell in cells.values():
            drawn = cell[rng.integers(0, len(cell), len(cell))][:, seeds]
            slow[number] += drawn[..., 0].sum() / drawn[..., 1].sum() / len(cells)
    fast = bootstrap(cells, seed=0, resamples=20_000)
    assert fast.mean() == pytest.approx(slow.mean(), abs=4 * slow.std() / 4000**0.5)
    assert fast.std() == pytest.approx(slow.std(), rel=4 / 8000**0.5)
    for level in (0.025, 0.25, 0.75, 0.975):
        below = (slow <= np.quantile(fast, level)).mean()
        assert below == pytest.approx(level, abs=4 * (level * (1 - level) / 4000) ** 0.5 + 2e-4)


def test_seeds_that_disagree_widen_the_interval() -> None:
    narrow, wide = (bootstrap(differences(outcomes(0.0, spread)), seed=0).std() for spread in (0.0, 0.2))
    assert wide > 2 * narrow


def test_queries_of_an_identity_are_drawn_together() -> None:
    table = outcomes(0.0)
    alike = table.assign(hit=table.groupby(["target", "seed", "identity", "model"])["hit"].transform("first"))
    spreads = [bootstrap(differences(rows), seed=0).std() for rows in (table, alike)]
    assert spreads[1] / spreads[0] == pytest.approx(np.sqrt(3), rel=0.35)


def test_the_report_shows_an_existing_difference() -> None:
    lines = report(outcomes(0.2), resamples=500).splitlines()
    assert lines[0].startswith("5 seeds (0, 1, 2, 3, 4)")
    assert lines[-1].startswith("| mean of all, different seeds | 360 |")
    cells = [cell.strip() for cell in lines[-2].split("|")]
    assert cells[1:3] == ["mean of all", "360"]
    low, high = (float(word) for word in cells[5].split(" to "))
    assert 10 < low < float(cells[4]) < high < 30
    assert float(cells[7]) == pytest.approx(max((high - low) / 2, float(cells[6])), abs=0.11)


def test_models_of_different_seeds_are_compared_query_by_query() -> None:
    table = outcomes(0.1, seeds=3, identities=4)
    shifted = unpaired(table).set_index(["target", "query", "model", "seed"])["hit"]
    for target, query, _, model, seed, hit in table.itertuples(index=False):
        assert shifted[target, query, model, seed if model == "with" else (seed + 1) % 3] == hit
    assert differences(unpaired(table))["a"][..., 1].tolist() == [[3.0] * 3] * 4


def test_the_interval_over_seeds_holds_where_seeds_alone_differ() -> None:
    """The bootstrap of five seeds would cover the truth in little more than 80 % of the cases."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        shift = rng.normal(0, 3, 5)
        cell = np.stack([np.tile(shift, (30, 1)), np.full((30, 5), 3.0)], -1)
        covered.append(abs(shift.mean() / 3) < seed_interval({"a": cell}))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)

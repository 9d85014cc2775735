"""Which runs are comparable, which parameters differ, and what is left out."""

from dataclasses import replace

import pytest

from sttreid.analysis.comparison import GroupResults, changes, compare, flat
from sttreid.analysis.verdicts import Verdict
from sttreid.runtime.errors import InputError
from tests.analysis.outcomes import outcome, publication

MIN_EFFECT = 0.02
A = outcome("first", {0: 0.0}, {0: 0.0})


def compared(b, published=None, force=False):
    return compare(A, b, published, MIN_EFFECT, force)


def verdicts(found, variant=None):
    return {row.verdict for row in found.rows if row.variant == variant}


def test_another_seed_is_within_the_spread_and_a_crippled_model_is_not() -> None:
    another = compared(outcome("second", {1: 0.03}, {1: 0.03}), publication(0.02))
    assert verdicts(another) == {Verdict.WITHIN}
    crippled = compared(outcome("second", {0: -0.2}, {0: -0.2}), publication(0.02))
    assert verdicts(crippled) == {Verdict.OUTSIDE}
    assert [row.variant for row in another.rows if row.metric == "mAP"][-2:] == ["spatial", "spatial"]
    assert not another.forced
    assert not another.left_out


def test_a_variant_that_is_not_changed_has_identical_results() -> None:
    found = compared(outcome("second", {0: 0.1}, {0: 0.1}), publication(0.02))
    assert verdicts(found, "spatial") == {Verdict.IDENTICAL}
    assert Verdict.IDENTICAL not in verdicts(found, "vanilla")


def with_market(run):
    """The run, with another protocol of winter."""
    for group in (run.cross_domain, run.ablation):
        for content in group.contents:
            content["protocol"]["winter"] = content["protocol"]["winter"] | {"name": "market"}
    return run


def test_a_mean_never_mixes_protocols() -> None:
    ours, theirs = (with_market(outcome(name, {0: gain}, {0: gain})) for name, gain in (("b", 0.1), ("a", 0)))
    found = compare(theirs, ours, publication(0.02), MIN_EFFECT)
    rows = [row for row in found.rows if row.metric == "rank1" and row.variant is None]
    assert {(row.protocol, row.setting) for row in rows} == {
        (protocol, setting)
        for protocol in ("embedded", "market")
        for setting in ("in_domain", "cross_domain", "direct_transfer")
    }
    assert {row.verdict for row in rows} == {Verdict.UNKNOWN}  # the published means are over all targets
    of_variant = [row for row in found.rows if row.metric == "rank1" and row.variant == "vanilla"]
    assert {(row.protocol, row.setting) for row in of_variant} == {
        ("embedded", "in_domain"),
        ("embedded", "cross_domain"),
        ("market", "cross_domain"),
    }
    single = compared(outcome("second", {0: 0.1}, {0: 0.1}))
    assert {row.protocol for row in single.rows} == {None}


def other_protocol():
    run = outcome("second", {0: 0.0})
    contents = [dict(content) for content in run.cross_domain.contents]
    for content in contents:
        protocols = content["protocol"]
        content["protocol"] = {target: dict(rules, name="market") for target, rules in protocols.items()}
    return replace(run, cross_domain=GroupResults(contents, run.cross_domain.queries))


def other_queries():
    run = outcome("second", {0: 0.0})
    moved = run.cross_domain.queries.copy()
    moved.loc[moved["identity"] == 10, "identity"] = 11
    return replace(run, cross_domain=GroupResults(run.cross_domain.contents, moved))


def other_gallery():
    run = outcome("second", {0: 0.0})
    for content in run.cross_domain.contents:
        for targets in content["sources"].values():
            targets["winter"] = targets["winter"] | {"gallery": 99}
    return run


def other_tracklets(name):
    run = outcome("second", {0: 0.0})
    return replace(run, tracklets=dict(run.tracklets) | {name: "others"})


def other_targets():
    run = outcome("second", {0: 0.0})
    return replace(run, params={**run.params, "targets": ["campus", "winter"]})


def other_numerics():
    return outcome("second", {0: 0.0}, compute__numerics="portable")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (other_protocol, ["'embedded'", "'market'", "campus"]),
        (other_queries, ["100 of 20", "100 of 19"]),
        (other_gallery, ["99", "122", "winter"]),
        (lambda: other_tracklets("winter"), ["winter-tracklets", "others"]),
        (other_targets, ["campus, winter, station", "campus, winter in second"]),
        (other_numerics, ["native", "portable"]),
    ],
)
def test_runs_that_are_not_comparable_are_refused_with_both_values_unless_it_is_forced(make, told) -> None:
    run = make()
    with pytest.raises(InputError) as error:
        compared(run)
    for word in (*told, "first", "second", "--force"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    found = compared(run, force=True)
    assert found.rows
    assert all(told_ in " ".join(found.forced) for told_ in told)
    assert ("queries" in make.__name__ or "gallery" in make.__name__) == (found.rows[0].low is None)


def test_a_missing_numeric_path_is_the_native_one() -> None:
    run = outcome("second", {0: 0.0})
    del run.params["compute"]["numerics"]
    assert compared(run).rows
    with pytest.raises(InputError, match="native"):
        compare(other_numerics(), run, None, MIN_EFFECT)


def test_runs_without_a_common_target_cannot_be_forced() -> None:
    run = outcome("second", {0: 0.0})
    with pytest.raises(InputError, match="targets"):
        compared(replace(run, params={**run.params, "targets": ["elsewhere"]}), force=True)


def test_another_synthetic_set_is_comparable_and_told() -> None:
    plain, other = compared(outcome("second", {0: 0.0})), compared(other_tracklets("unreal"))
    assert len(other.notes) == len(plain.notes) + 1


def test_a_missing_ablation_is_left_out_with_its_reason() -> None:
    found = compared(outcome("second", {0: 0.0}))
    assert verdicts(found)
    assert {row.variant for row in found.rows} == {None}
    assert "second has none." in " ".join(found.left_out)


def test_ablations_of_two_sources_are_not_compared() -> None:
    found = compared(outcome("second", {0: 0.0}, {0: 0.0}, ablation__source="winter"))
    assert {row.variant for row in found.rows} == {None}
    assert "winter" in " ".join(found.left_out)


def test_a_variant_of_one_run_alone_is_left_out() -> None:
    run = outcome("second", {0: 0.0}, {0: 0.0})
    ablation = run.params["ablation"] | {"variants": {"vanilla": {}, "deep": {}}}
    found = compared(replace(run, params={**run.params, "ablation": ablation}))
    assert {row.variant for row in found.rows} == {None, "vanilla"}
    assert len(found.left_out) == 2
    told = " ".join(found.left_out)
    assert all(word in told for word in ("first", "deep", "second", "spatial"))


def test_parameters_that_differ_have_both_values() -> None:
    run = outcome("second", {1: 0.0}, loss__entropy=0.1, finetune__identities=5)
    run = replace(run, domain={"domains/unreal.yaml:crowd.present": 6.0})
    del run.params["loss"]["triplet"]
    assert changes(A, run) == {
        "loss.entropy": {"a": 0.2, "b": 0.1},
        "loss.triplet": {"a": 1.0},
        "finetune.identities": {"a": None, "b": 5},
        "seeds": {"a": [0], "b": [1]},
        "domains/unreal.yaml:crowd.present": {"b": 6.0},
    }
    assert changes(A, A) == {}


def test_flat_content_has_dotted_keys() -> None:
    assert flat({"a": {"b": {"c": 1}, "d": []}, "e": {}}) == {"a.b.c": 1, "a.d": [], "e": {}}


def test_a_spread_of_other_parameters_is_named_where_training_differs() -> None:
    run = outcome("second", {0: 0.03}, finetune__lr=0.5, loss__entropy=0.9)
    told = " ".join(compared(run, publication()).notes)
    assert "finetune.lr" in told
    assert "loss.entropy" not in told
    assert "finetune.lr" not in " ".join(compared(run).notes)
    other = replace(publication(), numerics="portable")
    assert "portable" in " ".join(compared(outcome("second", {0: 0.03}), other).notes)


def test_code_that_differs_is_named() -> None:
    first, second = (replace(A, code={"src/a.py": md5, "src/b.py": "same"}) for md5 in ("one", "two"))
    told = " ".join(compare(first, second, None, MIN_EFFECT).notes)
    assert "src/a.py" in told
    assert "src/b.py" not in told

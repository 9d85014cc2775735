"""Training runs: the same twice, downhill, with a full history, and stopped before they spoil the weights."""

import io
from dataclasses import fields, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.config.params import Schedule
from sttreid.embedding import embed_tracklets
from sttreid.runtime import progress as watch
from sttreid.runtime.checkpoints import kept
from sttreid.runtime.errors import DivergedError, InputError
from sttreid.tracklets.batches import plan
from sttreid.training import losses
from sttreid.training.loop import Recipe, fit, history_text
from sttreid.training.schedule import factor
from sttreid.training.step import Step
from sttreid.training.validation import accuracies
from tests.sections import BATCH, COMPUTE, FRAMES, HEIGHT, LOSS, PLAIN, SCHEDULE, WIDTH, small_network

AUGMENT = replace(PLAIN, flip=0.5, pad=2, brightness=0.2, erase=0.5)
RECIPE = Recipe(AUGMENT, BATCH, LOSS, SCHEDULE, COMPUTE)
TERMS = (
    "identity",
    "triplet",
    "global_identity",
    "global_triplet",
    "spatial",
    "spatial_part",
    "frame_triplet",
    "entropy",
)


def blind(network):
    return {}


def train(store, recipe=RECIPE, seed=0, look=blind, **changes):
    network = small_network(**changes)
    return network, fit(network, store, recipe, seed, look, "test")


def test_the_same_seed_gives_equal_weights_and_history(store):
    (one, first), (two, second) = (train(store, dropout=0.2) for _ in range(2))
    assert all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    )
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_what_was_drawn_before_changes_nothing(store):
    one, first = train(store, dropout=0.2)
    network = small_network(dropout=0.2)
    torch.randn(100)
    second = fit(network, store, RECIPE, 0, blind, "test")
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert torch.equal(one.project[0].weight, network.project[0].weight)


def test_another_seed_gives_another_run(store):
    histories = [train(store, seed=seed)[1]["loss"] for seed in (0, 1)]
    assert not histories[0].equals(histories[1])


def test_looking_changes_no_weight(store):
    look = partial(accuracies, store=store, embed=partial(embed_tracklets, batch=4))
    (plain, _), (watched, _) = train(store), train(store, look=look)
    states = plain.state_dict().values(), watched.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def test_a_small_problem_is_learned(store):
    recipe = replace(RECIPE, augment=PLAIN, schedule=replace(SCHEDULE, steps=40, warmup=5, eval_every=40))
    recipe = replace(recipe, batch=replace(BATCH, identities=4))
    look = partial(accuracies, store=store, embed=partial(embed_tracklets, batch=8))
    _, history = train(store, recipe, look=look)
    assert history["loss"][35:].mean() < 0.6 * history["loss"][:5].mean()
    assert history["train_rank1"].iloc[-1] == 1.0


def test_the_history_has_a_row_a_step_and_looks_evenly_spread(store):
    seen = []

    def look(network):
        seen.append(network.training)
        return {"train_rank1": 0.25 * len(seen), "validation_rank1": 0.5}

    schedule = replace(SCHEDULE, steps=7, eval_every=3)
    history = train(store, replace(RECIPE, schedule=schedule), look=look)[1]
    assert list(history["step"]) == [1, 2, 3, 4, 5, 6, 7]
    assert list(history["step"][history["train_rank1"].notna()]) == [3, 5, 7]
    assert list(history["train_rank1"].dropna()) == [0.25, 0.5, 0.75]
    assert seen == [False] * 3
    assert list(history["lr"]) == pytest.approx([0.01 * factor(step, schedule) for step in range(7)])
    columns = ["step", "lr", "loss", *TERMS, "grad_norm", "train_rank1", "validation_rank1"]
    assert list(history.columns) == columns


def test_a_run_computes_without_tensor_float(store, monkeypatch):
    seen, forward = [], Step.forward

    def spy(*given):
        seen.append(torch.backends.cudnn.conv.fp32_precision)
        return forward(*given)

    monkeypatch.setattr(Step, "forward", spy)
    before = torch.backends.cudnn.conv.fp32_precision
    train(store)
    assert set(seen) == {"ieee"}
    assert torch.backends.cudnn.conv.fp32_precision == before


def test_more_looks_than_steps_look_at_every_step(store):
    schedule = replace(SCHEDULE, steps=3, eval_every=1)
    history = train(store, replace(RECIPE, schedule=schedule), look=lambda _: {"train_rank1": 1.0})[1]
    assert history["train_rank1"].notna().all()


def test_the_loss_column_is_the_weighted_sum_of_the_terms(store):
    history = train(store)[1]
    expected = sum(getattr(LOSS, name) * history[name] for name in TERMS)
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


def test_terms_of_branches_that_are_off_have_no_column(store):
    history = train(store, stt=False, gt=False)[1]
    assert list(history.columns) == ["step", "lr", "loss", "identity", "triplet", "grad_norm"]


def test_the_gradient_is_clipped_to_its_norm(store):
    """With one step of plain descent instead of AdamW's, the step is as long as the clipped gradient."""
    network = small_network()
    before = flat(network)
    schedule = replace(SCHEDULE, steps=1, warmup=1, lr=1.0, backbone_lr=1.0, max_grad_norm=0.125)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sttreid.training.loop.optimizer", descent)
        history = fit(network, store, replace(RECIPE, schedule=schedule), 0, blind, "test")
    assert history["grad_norm"][0] > 1  # what is written down is the norm before
    assert float((flat(network) - before).norm()) == pytest.approx(0.125, rel=1e-3)


def flat(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()]).double()


def descent(network, schedule):
    groups = [{"params": [p for p in network.parameters() if p.requires_grad], "peak": schedule.lr}]
    return torch.optim.SGD(groups, lr=schedule.lr)


@pytest.mark.parametrize(
    ("term", "function"), [("entropy", "attention_entropy"), ("spatial_part", "part_cross_entropy")]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_term_that_is_not_finite_stops_before_its_update(store, monkeypatch, term, function, value):
    network = small_network()
    original = getattr(losses, function)
    calls = []

    def broken(*arguments):
        calls.append({name: p.detach().clone() for name, p in network.named_parameters()})
        return original(*arguments) + (value if len(calls) == 3 else 0.0)

    monkeypatch.setattr(losses, function, broken)
    with pytest.raises(DivergedError, match=rf"training step 3: {term} must be finite, got {value}"):
        fit(network, store, RECIPE, 0, blind, "test")
    assert all(torch.equal(p, calls[-1][name]) for name, p in network.named_parameters())


def test_a_rate_that_is_far_too_high_is_named_as_divergence(store):
    schedule = replace(SCHEDULE, steps=30, lr=1e30, backbone_lr=1e30, warmup=0)
    with pytest.raises(
        DivergedError, match=r"training step \d+: \w+ must be finite, got \w+; lower the rate"
    ):
        train(store, replace(RECIPE, schedule=schedule))


def test_a_divergence_keeps_what_its_step_has_seen(store, tmp_path, monkeypatch):
    original, seen = losses.triplet, []

    def broken(features, classes, margin):
        seen.append(classes)
        return original(features, classes, margin) + (float("nan") if len(seen) == 5 else 0.0)

    monkeypatch.setattr(losses, "triplet", broken)  # called twice a step: for STT and for GT
    network = small_network()
    with (
        pytest.raises(DivergedError, match=r"step 3: triplet must be finite") as error,
        kept(tmp_path) as scratch,
    ):
        fit(network, store, RECIPE, 0, blind, "test", scratch)
    path = tmp_path / "post-mortem-step-3-rank-0.pt"
    content = torch.load(path, weights_only=True)
    rows = plan(store.of_split("train"), BATCH.identities, BATCH.clips, 0, 2)
    assert content["tracklets"].tolist() == store.of_split("train")["tracklet"][rows].tolist()
    names = ", ".join(map(str, sorted(set(content["tracklets"].tolist()))))
    assert str(error.value).endswith(
        f"the clips' tracklets are {names}; all that the step has seen is kept in {path}"
    )
    assert np.isnan(content["row"]["triplet"])
    assert content["clips"].shape == (4, FRAMES, 3, HEIGHT, WIDTH)
    assert all(torch.equal(value, content["network"][name]) for name, value in network.state_dict().items())


def test_identities_whose_tracklets_repeat_are_counted(store, capsys):
    train(store, replace(RECIPE, batch=replace(BATCH, clips=3), schedule=replace(SCHEDULE, steps=1)))
    said = capsys.readouterr().err
    assert "test: 4 of 4 identities have fewer than 3 tracklets: a batch repeats some of theirs" in said
    train(store, replace(RECIPE, schedule=replace(SCHEDULE, steps=1)))
    assert "repeats" not in capsys.readouterr().err


def test_the_log_has_speed_and_waits_and_the_history_has_not(store, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "EVERY", 0.0)  # a line a step
    with kept(tmp_path) as scratch:
        history = fit(small_network(), store, RECIPE, 0, blind, "test", scratch)
        so_far = next(tmp_path.glob("*/history.tsv")).read_text()
    assert so_far == history_text(history)
    log = pd.read_csv(tmp_path / watch.LOG, sep="\t")
    assert log["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (log["clips_per_second"] > 0).all()
    assert log["data_wait"].between(0, 1).all()
    assert not {"clips_per_second", "data_wait"} & set(history.columns)


def test_the_bar_shows_terms_rate_speed_and_waits(store, monkeypatch):
    shown = []

    class Bar:
        disable = False

        def __init__(self, **settings):
            shown.append(settings)

        def update(self):
            pass

        def set_postfix(self, values, **_):
            shown.append(values)

        def close(self):
            pass

    monkeypatch.setattr(watch, "tqdm", Bar)
    train(store)
    assert shown[0]["total"] == 6
    assert {"loss", *TERMS, "lr", "clips/s", "wait"} <= set(shown[1])


def test_too_few_people_for_a_batch_are_refused(store):
    asked = []
    with pytest.raises(InputError, match="at least the batch's 5 identities, got 4"):
        train(store, replace(RECIPE, batch=replace(BATCH, identities=5)), look=asked.append)
    assert not asked


def test_the_history_s_text_reads_back_and_leaves_gaps_empty(store):
    history = train(store, look=lambda _: {"train_rank1": 0.125, "validation_rank1": float("nan")})[1]
    text = history_text(history)
    assert text == history_text(history)
    back = pd.read_csv(io.StringIO(text), sep="\t")
    pd.testing.assert_frame_equal(back, history, check_exact=False, rtol=1e-5, check_dtype=False)
    assert text.splitlines()[1].endswith("\t\t")
    assert text.splitlines()[3].endswith("\t0.125\t")


def test_no_step_leaves_the_network_alone_and_gives_no_text(store):
    values = {field.name: getattr(SCHEDULE, field.name) for field in fields(Schedule)}
    schedule = Pretrain(**values | {"steps": 0})
    before = small_network().state_dict()
    network, history = train(store, replace(RECIPE, schedule=schedule))
    assert history_text(history) == ""
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

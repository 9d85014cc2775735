"""Training runs: repeatable, downhill, with a full history, and stopped before they spoil the weights."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sttreid.runtime.distributed import SINGLE
from sttreid.runtime.errors import DivergedError, InputError
from sttreid.tracklets.batches import plan
from sttreid.tracklets.store import Store
from sttreid.training import losses
from sttreid.training.interfaces import Silent
from sttreid.training.loop import Recipe, fit
from sttreid.training.optimisation import lr_factor
from sttreid.training.step import Step
from sttreid.training.validation import validate
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


def no_validation(*_):
    return {}


def train(store, recipe=RECIPE, seed=0, validate=no_validation, observer=None, **changes):
    network = small_network(**changes)
    return network, fit(network, store, recipe, seed, SINGLE, observer, validate)


def equal(one, other):
    states = one.state_dict().values(), other.state_dict().values()
    return all(torch.equal(a, b) for a, b in zip(*states, strict=True))


class Recorder(Silent):
    """Records its calls; resumes from a state, and asks to stop in a step."""

    def __init__(self, state=None, stop=0):
        self.state, self.stop = state, stop
        self.steps, self.states, self.messages, self.divergences = [], [], [], []

    def resume(self, settings, content):
        self.settings, self.content = settings, b"".join(content)
        return self.state

    def watch(self, batches, done, steps, clips):
        self.totals = done, steps, clips
        return batches

    def stop_requested(self):
        return len(self.steps) + 1 == self.stop

    def stepped(self, row, state, evaluated, last):
        self.steps.append((int(row["step"]), evaluated, last))
        self.states.append(copied(state()))

    def diverged(self, step, state):
        self.divergences.append((step, state))
        return "; inputs written"

    def notify(self, message):
        self.messages.append(message)


def copied(value):
    if isinstance(value, dict):
        return {name: copied(part) for name, part in value.items()}
    if isinstance(value, list):
        return [copied(part) for part in value]
    return value.clone() if isinstance(value, torch.Tensor) else value


def test_the_same_seed_gives_equal_weights_and_history(store):
    (one, first), (two, second) = (train(store, dropout=0.2) for _ in range(2))
    assert equal(one, two)
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_earlier_random_draws_change_nothing(store):
    one, first = train(store, dropout=0.2)
    network = small_network(dropout=0.2)
    torch.randn(100)
    second = fit(network, store, RECIPE, 0, SINGLE, validate=no_validation)
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert equal(one, network)


def test_another_seed_gives_another_run(store):
    histories = [train(store, seed=seed)[1]["loss"] for seed in (0, 1)]
    assert not histories[0].equals(histories[1])


def test_validation_changes_no_weight(store):
    (plain, _), (validated, _) = train(store), train(store, validate=validate)
    assert equal(plain, validated)


def test_a_small_problem_is_learned(store):
    recipe = replace(RECIPE, augment=PLAIN, schedule=replace(SCHEDULE, steps=40, warmup=5, eval_every=40))
    recipe = replace(recipe, batch=replace(BATCH, identities=4))
    _, history = train(store, recipe, validate=validate)
    assert history["loss"][35:].mean() < 0.6 * history["loss"][:5].mean()
    assert history["train_rank1"].iloc[-1] == 1.0


def test_the_history_has_a_row_per_step_and_regular_validations(store):
    modes = []

    def measure(network, given, batch):
        assert (given, batch) == (store, COMPUTE.embed_batch)
        modes.append(network.training)
        return {"train_rank1": 0.25 * len(modes), "validation_rank1": 0.5}

    schedule = replace(SCHEDULE, steps=7, eval_every=3)
    history = train(store, replace(RECIPE, schedule=schedule), validate=measure)[1]
    assert list(history["step"]) == [1, 2, 3, 4, 5, 6, 7]
    assert list(history["step"][history["train_rank1"].notna()]) == [3, 6, 7]
    assert list(history["train_rank1"].dropna()) == [0.25, 0.5, 0.75]
    assert modes == [False] * 3
    assert list(history["lr"]) == pytest.approx([0.01 * lr_factor(step, schedule) for step in range(7)])
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


def test_validation_may_run_after_every_step(store):
    schedule = replace(SCHEDULE, steps=3, eval_every=1)
    recipe = replace(RECIPE, schedule=schedule)
    history = train(store, recipe, validate=lambda *_: {"train_rank1": 1.0})[1]
    assert history["train_rank1"].notna().all()


def test_the_loss_column_is_the_weighted_sum_of_the_terms(store):
    history = train(store)[1]
    expected = sum(getattr(LOSS, name) * history[name] for name in TERMS)
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


def test_terms_of_disabled_branches_have_no_column(store):
    history = train(store, stt=False, gt=False)[1]
    assert list(history.columns) == ["step", "lr", "loss", "identity", "triplet", "grad_norm"]


def test_the_gradient_is_clipped_to_its_norm(store, monkeypatch):
    """With one step of plain descent instead of AdamW's, the step is as long as the clipped gradient."""
    network = small_network()
    before = flat(network)
    schedule = replace(SCHEDULE, steps=1, warmup=1, lr=1.0, backbone_lr=1.0, max_grad_norm=0.125)
    monkeypatch.setattr("sttreid.training.loop.build_optimiser", descent)
    history = fit(network, store, replace(RECIPE, schedule=schedule), 0, SINGLE, validate=no_validation)
    assert history["grad_norm"][0] > 1  # the history has the norm before clipping
    assert float((flat(network) - before).norm()) == pytest.approx(0.125, rel=1e-3)


def flat(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()]).double()


def descent(network, schedule):
    groups = [{"params": [p for p in network.parameters() if p.requires_grad], "peak_lr": schedule.lr}]
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
        fit(network, store, RECIPE, 0, SINGLE, validate=no_validation)
    assert all(torch.equal(p, calls[-1][name]) for name, p in network.named_parameters())


def test_an_lr_that_is_far_too_high_is_a_divergence(store):
    schedule = replace(SCHEDULE, steps=30, lr=1e30, backbone_lr=1e30, warmup=0)
    with pytest.raises(DivergedError, match=r"training step \d+: \w+ must be finite, got \w+; lower the lr"):
        train(store, replace(RECIPE, schedule=schedule))


def test_a_divergence_hands_all_inputs_of_its_step_to_the_observer(store, monkeypatch):
    original, calls = losses.triplet, []

    def broken(features, classes, margin):
        calls.append(classes)
        return original(features, classes, margin) + (float("nan") if len(calls) == 5 else 0.0)

    monkeypatch.setattr(losses, "triplet", broken)  # called twice per step: for STT and for GT
    observer, network = Recorder(), small_network()
    with pytest.raises(DivergedError, match=r"step 3: triplet must be finite") as error:
        fit(network, store, RECIPE, 0, SINGLE, observer, no_validation)
    ((step, state),) = observer.divergences
    rows = plan(store.of_split("train"), BATCH.identities, BATCH.clips, 0, 2)
    assert step == 3
    assert state["tracklets"].tolist() == store.of_split("train")["tracklet"][rows].tolist()
    names = ", ".join(map(str, sorted(set(state["tracklets"].tolist()))))
    assert str(error.value).endswith(f"the batch holds the tracklets {names}; inputs written")
    assert np.isnan(state["row"]["triplet"])
    assert state["clips"].shape == (4, FRAMES, 3, HEIGHT, WIDTH)
    assert all(torch.equal(value, state["network"][name]) for name, value in network.state_dict().items())


def test_identities_whose_tracklets_repeat_are_counted(store):
    observer = Recorder()
    recipe = replace(RECIPE, batch=replace(BATCH, clips=3), schedule=replace(SCHEDULE, steps=1))
    train(store, recipe, observer=observer)
    (message,) = observer.messages
    assert "4 of 4 training identities have fewer than 3 tracklets" in message
    observer = Recorder()
    train(store, replace(RECIPE, schedule=replace(SCHEDULE, steps=1)), observer=observer)
    assert observer.messages == []


def test_the_observer_sees_every_step(store):
    observer = Recorder()
    schedule = replace(SCHEDULE, steps=7, eval_every=3)
    train(store, replace(RECIPE, schedule=schedule), observer=observer)
    assert observer.totals == (0, 7, BATCH.identities * BATCH.clips)
    assert observer.steps == [(n, n in (3, 6, 7), n == 7) for n in range(1, 8)]


@pytest.mark.parametrize("stop", [1, 4])
def test_a_stopped_run_resumes_from_its_last_state_and_gives_equal_weights(store, stop):
    network, history = train(store, dropout=0.2)
    observer = Recorder(stop=stop)
    with pytest.raises(SystemExit, match=f"error: training stopped on request after step {stop}"):
        train(store, observer=observer, dropout=0.2)
    assert observer.steps[-1][0] == stop
    assert observer.steps[-1][2]
    second = Recorder(observer.states[-1])
    resumed, whole = train(store, observer=second, dropout=0.2)
    assert second.totals == (stop, SCHEDULE.steps, 4)
    assert equal(network, resumed)
    pd.testing.assert_frame_equal(whole, history, check_exact=True)


def test_the_last_step_averages_with_the_starting_weights_before_its_validation(store):
    seen = []

    def measure(network, *_):
        seen.append(copied(network.state_dict()))
        return {}

    start = copied(small_network().state_dict())
    recipe = replace(RECIPE, schedule=replace(SCHEDULE, start_weight=0.25))
    plain, averaged = train(store)[0].state_dict(), train(store, recipe, validate=measure)[0].state_dict()
    for name, value in averaged.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.25 * start[name] + 0.75 * plain[name])
        assert torch.equal(seen[-1][name], value)
    observer = Recorder(stop=SCHEDULE.steps - 1)
    with pytest.raises(SystemExit):
        train(store, recipe, observer=observer)
    resumed = train(store, recipe, observer=Recorder(observer.states[-1]))[0].state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in averaged.items())


def test_a_complete_run_is_not_trained_again(store):
    observer = Recorder()
    network, history = train(store, observer=observer)
    second = Recorder(observer.states[-1])
    again, whole = train(store, observer=second)
    assert second.steps == []
    assert equal(network, again)
    pd.testing.assert_frame_equal(whole, history, check_exact=True)


def test_the_observer_gets_all_that_a_result_depends_on(store):
    def inputs(store=store, recipe=RECIPE, seed=0, **changes):
        observer = Recorder()
        recipe = replace(recipe, schedule=replace(recipe.schedule, steps=1))
        train(store, recipe, seed, observer=observer, **changes)
        return repr(observer.settings), observer.content

    pixels = store.frames.copy()
    pixels[-1, 0, 0, 0] ^= 1
    cameras = store.index.assign(camera=store.index["camera"] + 1)
    fewer = store.tracklets[store.tracklets["tracklet"] != 15]
    results = [
        inputs(),
        inputs(seed=1),
        inputs(recipe=replace(RECIPE, loss=replace(LOSS, margin=0.2))),
        inputs(recipe=replace(RECIPE, schedule=replace(SCHEDULE, lr=0.02))),
        inputs(dropout=0.1, width=16),
        inputs(Store(pixels, store.index, store.tracklets)),
        inputs(Store(store.frames, cameras, store.tracklets)),
        inputs(Store(store.frames, store.index, fewer)),
    ]
    assert len(set(results)) == len(results)
    assert inputs() == results[0]


def test_too_few_identities_for_a_batch_are_refused(store):
    calls = []
    with pytest.raises(InputError, match="at least the batch's 5 identities, got 4"):
        train(store, replace(RECIPE, batch=replace(BATCH, identities=5)), validate=lambda *_: calls.append(1))
    assert not calls

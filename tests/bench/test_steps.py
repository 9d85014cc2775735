import time

from bench.steps import PATHS, SPEED, USUAL, checkpoint, shares, steps
from bench.training import Timing

SMOKE = ("smoke", 2, 2)
ONE = Timing(1, 0, time.process_time)


def test_our_steps_stand_beside_the_usual_one() -> None:
    *times, bf16, memory = steps("small", SMOKE, ONE, rounds=1)
    assert [figure.target for figure in times] == [SPEED] * len(PATHS)
    assert all(figure.against == USUAL for figure in (*times, bf16, memory))
    assert all(figure.ours and figure.ours > 0 for figure in (*times, bf16, memory))


def test_the_shares_of_a_step_are_a_whole() -> None:
    found = [figure.ours for figure in shares("small", SMOKE, ONE)]
    assert 99 < sum(found) < 101  # type: ignore[arg-type]
    assert len(found) == 5


def test_a_checkpoint_holds_network_and_optimiser() -> None:
    (figure,) = checkpoint("small", SMOKE)
    assert figure.ours is not None
    assert figure.ours > 0
    assert "MB" in figure.what

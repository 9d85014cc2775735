"""The order of cells, on fake cells that take whole numbers of ticks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from sttreid.runner import schedule
from sttreid.runner.cells import Cell, Outcome
from sttreid.runner.schedule import Report, path_lengths, run_cells

Names = Mapping[str, tuple[str, ...]]
DEFAULT: dict[str, tuple[str, ...]] = {  # the shape of the default run
    "resolve": (),
    "simulate": (),
    "decode@unreal": ("simulate",),
    "decode@campus": (),
    "ablate@cnn": ("resolve", "decode@unreal", "decode@campus"),
    "ablate@vanilla": ("resolve", "decode@unreal", "decode@campus"),
    "pretrain": ("decode@unreal",),
    "finetune@campus": ("pretrain", "decode@campus"),
    "finetune@winter": ("pretrain",),
    "evaluate@ablation": ("ablate@cnn", "ablate@vanilla"),
    "evaluate@models": ("finetune@campus", "finetune@winter"),
    "report": ("evaluate@ablation", "evaluate@models"),
}


def cells(after: Names, gpus: tuple[str, ...] = ()) -> dict[str, Cell]:
    return {name: Cell(name, frozenset(others), gpus=int(name in gpus)) for name, others in after.items()}


@dataclass
class Machine:
    """Runs fake cells; the clock ticks whenever the scheduler sleeps."""

    ticks: Mapping[str, int] = field(default_factory=dict)
    fails: Mapping[str, Outcome | Exception] = field(default_factory=dict)
    now: int = 0
    started: dict[str, int] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    devices: int | None = None

    def start(self, cell: Cell) -> "FakeJob | None":
        using = sum(name.startswith("gpu") for name in self.started if not self.over(name))
        if cell.gpus and self.devices is not None and using >= self.devices:
            return None
        self.started[cell.name] = self.now
        return FakeJob(self, cell.name)

    def over(self, name: str) -> bool:
        return self.now - self.started[name] >= self.ticks.get(name, 1)

    def sleep(self, _: float) -> None:
        self.widths.append(sum(not self.over(name) for name in self.started))
        self.now += 1

    def run(self, after: dict[str, Cell], jobs: int, recorded: Mapping[str, float] | None = None) -> Report:
        return run_cells(after, self.start, jobs, recorded or {}, lambda name, _: self.ended.append(name))


@dataclass
class FakeJob:
    machine: Machine
    name: str

    def done(self) -> bool:
        return self.machine.over(self.name)

    def result(self) -> Outcome:
        outcome = self.machine.fails.get(self.name, Outcome(0, 1.0))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(schedule.time, "sleep", machine.sleep)
    return machine


@pytest.mark.parametrize("jobs", [1, 2, 3, 20])
def test_every_cell_runs_once_after_those_it_waits_for_and_at_most_so_many_at_once(
    machine: Machine, jobs: int
) -> None:
    machine.ticks = {"pretrain": 7, "ablate@cnn": 3}
    report = machine.run(cells(DEFAULT), jobs)
    assert sorted(report.done) == sorted(DEFAULT)
    assert not report.failed
    assert not report.blocked
    assert machine.ended == list(report.done)
    for name, others in DEFAULT.items():
        for other in others:
            assert machine.started[name] >= machine.started[other] + machine.ticks.get(other, 1)
    assert max(machine.widths) <= jobs
    assert max(machine.widths) > 1 or jobs == 1
    assert min(machine.widths) >= 1, "no tick is lost while a cell is ready"


def test_the_longest_path_starts_first_and_independent_cells_fill_the_other_core(machine: Machine) -> None:
    machine.ticks = {"simulate": 2, "pretrain": 12, "ablate@cnn": 5, "ablate@vanilla": 5}
    machine.run(cells(DEFAULT), 2)
    assert machine.started["simulate"] == 0
    assert machine.started["pretrain"] == 3, "as soon as its data are there"
    others = {"ablate@cnn", "ablate@vanilla", "evaluate@ablation"}
    assert all(3 <= machine.started[name] < 15 for name in others), "beside the pre-training"


@pytest.mark.parametrize(
    ("recorded", "order"),
    [({}, ["a", "a2", "a3", "long"]), ({"a": 1, "a2": 1, "a3": 1, "long": 60}, ["long", "a", "a2", "a3"])],
)
def test_recorded_seconds_decide_instead_of_the_depth(
    machine: Machine, recorded: dict[str, float], order: list[str]
) -> None:
    machine.run(cells({"a": (), "a2": ("a",), "a3": ("a2",), "long": ()}), 1, recorded)
    assert list(machine.started) == order


def test_a_cell_without_record_takes_as_long_as_its_stage_or_else_as_all_did() -> None:
    recorded = {"train@0": 10.0, "train@1": 20.0, "test": 3.0}
    assert schedule.estimate("train@1", recorded) == 20
    assert schedule.estimate("train@2", recorded) == 15
    assert schedule.estimate("report", recorded) == 11
    assert schedule.estimate("report", {}) == 1


def test_lengths_reach_to_the_end_and_ignore_cells_that_are_not_run() -> None:
    after = {"a": ("elsewhere",), "b": ("a",), "c": ("b",), "d": ("a",)}
    lengths = path_lengths(cells(after), {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0})
    assert lengths == {"a": 9.0, "b": 6.0, "c": 4.0, "d": 8.0}


def test_a_failure_stops_what_depends_on_it_and_nothing_else(machine: Machine) -> None:
    machine.fails = {"pretrain": Outcome(1, 1.0), "ablate@cnn": RuntimeError("the worker\nis lost")}
    report = machine.run(cells(DEFAULT), 2)
    assert report.failed == {"pretrain": "exit status 1", "ablate@cnn": "the worker is lost"}
    blocked = {"finetune@campus", "finetune@winter", "evaluate@models", "evaluate@ablation", "report"}
    assert set(report.blocked) == blocked
    assert set(report.done) == set(DEFAULT) - blocked - {"pretrain", "ablate@cnn"}


def test_a_cell_that_waits_for_a_device_lets_others_start(machine: Machine) -> None:
    machine.devices = 1
    machine.ticks = {"gpu1": 3, "gpu2": 3, "cpu": 3}
    after = {"gpu1": (), "gpu2": (), "cpu": ()}
    report = machine.run(cells(after, ("gpu1", "gpu2")), 2)
    assert machine.started == {"gpu1": 0, "cpu": 0, "gpu2": 3}
    assert len(report.done) == 3


def test_no_cells_are_no_work(machine: Machine) -> None:
    assert machine.run({}, 2) == Report()
    assert machine.now == 0


def test_a_lower_rank_starts_before_a_longer_path_and_leaves_no_core_idle(machine: Machine) -> None:
    after = cells({"a": (), "a2": ("a",), "b": (), "b2": ("b",), "b3": ("b2",)})
    ranks = {"a": 0, "a2": 0, "b": 1, "b2": 1, "b3": 1}
    machine.ticks = {"a": 3}
    run_cells(after, machine.start, 2, machine.ticks, lambda *_: None, ranks)
    assert machine.started == {"a": 0, "b": 0, "b2": 1, "b3": 2, "a2": 3}
    machine.started = {}
    run_cells(after, machine.start, 1, {}, lambda *_: None, ranks)
    assert list(machine.started) == ["a", "a2", "b", "b2", "b3"]

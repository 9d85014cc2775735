"""DVC's graph as cells."""

from pathlib import Path

import pytest

from sttreid.config.params import load
from sttreid.runner.cells import Cell
from sttreid.runner.graph import Graph, read_graph
from sttreid.runtime.errors import InputError
from sttreid.runtime.numerics import DEVICE
from tests.runner.pipelines import pipeline, stage
from tests.tiny import ROOT

CHAIN = Graph(
    {
        name: Cell(name, frozenset(after))
        for name, after in {"c": ("b@1",), "a": (), "b@1": ("a",), "b@2": ("a",), "d": ()}.items()
    },
    frozenset({"b@1"}),
)


@pytest.fixture(scope="module")
def default() -> Graph:
    """The graph of this repository; nothing of it runs."""
    return read_graph(ROOT)


def test_the_cells_of_the_default_run_wait_for_what_they_read(default: Graph) -> None:
    cells = default.cells
    params = load(ROOT / "params.yaml")
    seed, target = params.seeds[0], params.targets[0]
    domain = params.simulate.domain
    assert "data.dvc" not in cells
    assert not cells["simulate"].after
    assert not cells["resolve"].after
    assert cells[f"decode@{domain}"].after == {"simulate"}
    assert cells[f"pretrain@{seed}"].after == {f"decode@{domain}"}
    assert cells[f"finetune@{target}-{seed}"].after == {f"pretrain@{seed}", f"decode@{target}"}
    variants = {f"ablate@{name}-{seed}" for name in params.ablation.variants}
    assert cells[f"evaluate@ablation-{seed}"].after >= variants
    for name in variants:
        assert f"pretrain@{seed}" not in cells[name].after


def test_what_trains_or_tests_asks_for_a_device_unless_the_cpu_is_wanted(
    default: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = {name.partition("@")[0] for name, cell in default.cells.items() if cell.gpus}
    assert asking >= {"pretrain", "finetune", "ablate", "evaluate", "visualise"}
    assert not asking & {"simulate", "decode", "resolve", "claims", "report"}
    monkeypatch.setenv(DEVICE, "cpu")
    assert not any(cell.gpus for cell in read_graph(ROOT).cells.values())


def test_targets_bring_what_they_wait_for_and_a_stage_all_its_cells() -> None:
    assert CHAIN.needed(["c"]) == {"a", "b@1", "c"}
    assert CHAIN.needed(["b"]) == {"a", "b@1", "b@2"}
    assert CHAIN.needed(["b@2", "d"]) == {"a", "b@2", "d"}
    assert list(CHAIN.subset({"a", "c"})) == ["c", "a"], "in the order of dvc.yaml"


def test_a_change_reaches_all_that_waits_for_it() -> None:
    assert CHAIN.outdated() == {"b@1", "c"}
    assert Graph(CHAIN.cells, frozenset({"a"})).outdated() == {"a", "b@1", "b@2", "c"}
    assert Graph(CHAIN.cells, frozenset()).outdated() == set()


def test_missing_outputs_are_made_again_where_they_are_wanted_or_read_by_a_cell_that_runs() -> None:
    def outdated(*changed: str, targets: tuple[str, ...] = (), **lacks: str) -> set[str]:
        read = {name.replace("_", "@"): frozenset({other}) for name, other in lacks.items()}
        missing = frozenset(lacks.values()) | {"b@2"}
        return Graph(CHAIN.cells, frozenset(changed), missing=missing, lacks=read).outdated(targets)

    assert outdated(b_1="a", c="b@1") == set()
    assert outdated("c", b_1="a") == {"c"}, "it reads the present outputs of b@1"
    assert outdated("c", c="b@1") == {"b@1", "c"}
    assert outdated("c", b_1="a", c="b@1") == {"a", "b@1", "c"}, "not b@2: a gives what it gave"
    assert outdated("b@2", "d", targets=("d",)) == {"d"}, "not for cells that nobody wants"
    assert outdated(targets=("c", "d")) == set()
    assert outdated(targets=("b", "d")) == {"b@2"}


def test_what_decides_whether_cells_without_outputs_run_comes_first() -> None:
    """DVC would run such a cell even if the changed one that it waits for gives what it gave."""

    def first(*changed: str, missing: str = "b@1") -> set[str]:
        return Graph(CHAIN.cells, frozenset(changed), missing=frozenset({missing, "d"})).first(["c"])

    assert first("a") == {"a"}
    assert first("a", "b@1") == set(), "it has changed itself"
    assert first("a", missing="c") == {"a", "b@1"}
    assert first("a", missing="b@2") == set(), "nobody wants it"


def test_an_unknown_target_is_refused_with_its_likely_name() -> None:
    with pytest.raises(InputError, match=r"no stage 'b@3'.*a, .*b"):
        CHAIN.needed(["b@3"])


def test_a_broken_pipeline_is_one_sentence(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "p", {"a": stage("true", [], "a.txt"), "b": stage("true", [], "a.txt")})
    with pytest.raises(InputError, match=r"dvc\.yaml: .*a\.txt"):
        read_graph(folder)


def test_names_do_not_depend_on_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pipeline(tmp_path / "p", {"a": stage("true", [], "a.txt") | {"frozen": False}})
    monkeypatch.chdir(tmp_path)
    assert list(read_graph(folder).cells) == ["a"]


def test_frozen_stages_are_no_cells(tmp_path: Path) -> None:
    stages = {"a": stage("true", [], "a.txt") | {"frozen": True}, "b": stage("true", ["a.txt"], "b.txt")}
    graph = read_graph(pipeline(tmp_path / "p", stages))
    assert graph.cells == {"b": Cell("b")}

"""All evaluators that bench.evaluation compares answer alike on a tiny set."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bench import evaluation
from bench.costs import Cost
from bench.evaluation import (
    BOUND,
    CALLS,
    CYTHON,
    DOUBLE,
    FAISS,
    OURS,
    PACKAGES,
    PRODUCT,
    PYTHON,
    figures,
    figures_of,
    main,
    run,
)
from bench.evaluation_set import TINY, EvaluationSet, generate, load


def test_a_run_prints_what_it_measured_and_what_missed_its_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = {OURS: [Cost(1.0, 1.0, 80.0, (0.875, 0.75))], PRODUCT: [Cost(0.5, 1.0, 50.0)]}
    monkeypatch.setattr(evaluation, "run", lambda *_: costs)
    main(["--size", "lsvid", "--repeats", "1"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if PRODUCT in line]
    assert "MISSED" in line


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> EvaluationSet:
    folder = tmp_path_factory.mktemp("tiny")
    generate(TINY, folder)
    return load(folder, mapped=False)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in (OURS, PRODUCT, CYTHON, FAISS)])
def test_other_evaluators_agree_with_the_evaluator(name: str, tiny: EvaluationSet) -> None:
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        pytest.skip(f"{PACKAGES[name]} is not installed")
    rank1, mean_ap = CALLS[OURS](tiny)()  # type: ignore[misc]
    assert 0 < mean_ap < 1
    assert CALLS[name](tiny)() == pytest.approx((rank1, mean_ap), abs=1e-6)


def test_candidates_run_on_a_memory_map_in_their_own_processes() -> None:
    costs = run(TINY, [OURS, PRODUCT, DOUBLE], 2, mapped=True)
    assert {name: len(rows) for name, rows in costs.items()} == {OURS: 2, PRODUCT: 2, DOUBLE: 1}
    assert costs[PRODUCT][0].result is None
    assert 0 < costs[OURS][0].result[0] <= 1
    assert costs[DOUBLE][0].result == pytest.approx(costs[OURS][0].result, abs=1e-12)


def test_figures_name_each_rival_and_how_far_metrics_differ() -> None:
    costs = {
        OURS: [Cost(1.0, 1.0, 80.0, (0.875, 0.75))],
        PRODUCT: [Cost(0.5, 1.0, 50.0)],
        CYTHON: [Cost(0.8, 2.0, 400.0, (0.875, 0.5))],
    }
    product, cython, memory = figures_of("tiny", costs)
    assert (product.against, product.ratio, product.held) == (PRODUCT, 2.0, None)
    assert next(figures_of("tiny", costs, BOUND)).held is False
    assert (cython.ratio, cython.held) == (1.25, False)
    assert "2e-01" in cython.note or "3e-01" in cython.note
    assert (memory.against, memory.ratio) == (CYTHON, 0.2)


def test_without_torchreids_cython_a_figure_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(evaluation.FOLDER, raising=False)
    (only,) = figures(sizes=())
    assert only.ours is None
    assert evaluation.FOLDER in only.note
    assert CYTHON not in evaluation.candidates("mars")
    monkeypatch.setenv(evaluation.FOLDER, str(Path()))
    assert CYTHON in evaluation.candidates("mars")
    assert PYTHON not in evaluation.candidates("mars")
    assert list(figures(sizes=())) == []


def test_the_product_covers_a_gallery_of_several_blocks(
    tiny: EvaluationSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BLOCK", 7)
    shapes = []
    monkeypatch.setattr(np, "matmul", lambda a, b, out: shapes.append((a.shape[0], b.shape[1], out.shape)))
    CALLS[PRODUCT](tiny)()
    assert sum(columns for _, columns, _ in shapes) == len(tiny.features)
    assert all(out == (len(tiny.queries), columns) for _, columns, out in shapes)

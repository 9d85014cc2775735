import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import evaluation
from bench.evaluation import Cost, baseline, compared, limits, main, measure, ratio, table
from bench.evaluation_candidates import BLOCKS, OTHERS, PRODUCTS, Outcome, names, prepare
from bench.evaluation_set import LSVID, MARS, SIZES, TINY, EvaluationSet, Size, generate, labels, load

# A function with the signature of torchreid's, as a loop over the definition.
RANK = """
import numpy as np

def eval_market1501(distances, q_pids, g_pids, q_camids, g_camids, max_rank):
    firsts, precisions = [], []
    for line, identity, camera in zip(distances, q_pids, q_camids):
        hits, seen = [], 0
        for column in sorted(range(len(line)), key=lambda column: line[column]):
            if g_pids[column] == identity and g_camids[column] == camera:
                continue
            seen += 1
            if g_pids[column] == identity:
                hits.append(seen)
        if hits:
            firsts.append(hits[0])
            precisions.append(np.mean([(index + 1) / rank for index, rank in enumerate(hits)]))
    curve = [np.mean([first <= rank for first in firsts]) for rank in range(1, max_rank + 1)]
    return curve, np.mean(precisions)
"""


def generated(size: Size, folder: Path, mapped: bool = False) -> EvaluationSet:
    generate(size, folder)
    return load(folder, mapped)


@pytest.mark.parametrize("size", [MARS, LSVID])
def test_labels_have_the_counts_of_the_data_set(size: Size) -> None:
    columns = labels(size, np.random.default_rng(1))
    identity, camera, query = columns["identity"], columns["camera"], columns["query"]
    assert len(identity) == size.gallery
    assert query.sum() == size.queries
    assert columns["junk"].sum() == size.junk == (identity == -1).sum()
    assert columns["distractor"].sum() == size.distractors == (identity == 0).sum()
    identities, counts = np.unique(identity[identity > 0], return_counts=True)
    assert (len(identities), counts.sum()) == (size.identities, size.tracklets)
    assert counts.max() > 3 * np.median(counts)
    assert len(np.unique(identity[query])) == size.query_identities
    assert set(camera) == set(range(1, size.cameras + 1))
    same = identity[query, None] == identity
    matches = (same & (camera[query, None] != camera)).sum(axis=1)
    assert (matches == 0).sum() == size.unmatched
    assert matches.mean() == pytest.approx(13 if size is MARS else 3.3, abs=1)


def test_the_million_is_mars_with_more_distractors() -> None:
    million = SIZES["million"]
    assert million.gallery == 1_000_000
    assert replace(million, distractors=MARS.distractors) == MARS


def test_features_score_as_on_mars(tmp_path: Path) -> None:
    few = generated(replace(MARS, width=32), tmp_path)  # as many columns as the latent space
    np.testing.assert_allclose(np.linalg.norm(few.features, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(few.queries, few.features[few.query])
    outcome = prepare("sttreid", few, None)()
    assert 0.85 < outcome.rank1 < 0.91
    assert 0.74 < outcome.mAP < 0.81


def test_a_file_with_torchreids_function_agrees_with_the_evaluator(tmp_path: Path) -> None:
    (tmp_path / "rank.py").write_text(RANK)
    tiny = generated(TINY, tmp_path)
    rival, ours = (prepare(name, tiny, tmp_path)() for name in ("python", "sttreid"))
    assert 0 < ours.mAP < 1
    assert rival.rank1 == pytest.approx(ours.rank1)
    assert rival.mAP == pytest.approx(ours.mAP)
    assert rival.ranking is not None


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_evaluators_agree(name: str, tmp_path: Path) -> None:
    pytest.importorskip({"scikit-learn": "sklearn", "faiss": "faiss"}.get(name, "numpy"))
    tiny = generated(replace(TINY, tracklets=200, distractors=100), tmp_path)
    other, ours = (prepare(each, tiny, None)() for each in (name, "sttreid"))
    if name == "faiss":
        assert np.isnan(other.mAP)
    else:
        assert (other.rank1, other.mAP) == pytest.approx((ours.rank1, ours.mAP), abs=1e-12)


def test_a_candidate_without_its_file_is_not_named(tmp_path: Path) -> None:
    assert {*PRODUCTS, "sttreid", "float64"} <= set(names(False, tmp_path))
    assert "cython" not in names(False, tmp_path)
    (tmp_path / "rank_cy.cpython.so").touch()
    (tmp_path / "rank.py").touch()
    assert {"cython", "python"} <= set(names(False, tmp_path))
    assert not {"cython", "python", "scikit-learn", *PRODUCTS} & set(names(True, tmp_path))


@pytest.mark.parametrize("name", [*BLOCKS, "sttreid", "float64"])
def test_candidates_run_on_a_memory_map(name: str, tmp_path: Path) -> None:
    cost = measure(prepare(name, generated(TINY, tmp_path, mapped=True), None), mapped=True)
    assert 0 < cost.wall < 60


@pytest.mark.parametrize("mapped", [False, True])
def test_memory_is_the_growth_of_the_peak(mapped: bool, tmp_path: Path) -> None:
    np.save(tmp_path / "file.npy", np.ones(5_000_000))

    def call() -> Outcome:
        np.load(tmp_path / "file.npy", mmap_mode="r").sum()
        held = np.ones(10_000_000)
        time.sleep(0.1)
        return Outcome(float(held[0]))

    cost = measure(call, mapped)
    assert 80 <= cost.memory + 1 < (90 if mapped else 130)  # the 40 MB of the file count if files do
    assert cost.cpu < cost.wall


def cost(cpu: float, memory: float = 90.0, **outcome: float) -> Cost:
    return Cost(cpu, 2 * cpu, memory, Outcome(**outcome))


COSTS = {
    "torch product": [cost(2.0), cost(4.0), cost(6.0)],
    "numpy product": [cost(1.0), cost(2.0), cost(4.0)],
    "sttreid": [cost(1.4, rank1=0.875, mAP=0.75), cost(2.0), cost(6.4)],
    "cython": [cost(2.8, rank1=0.875, mAP=0.750009, ranking=1.8), cost(2.6, ranking=1), cost(6.4, ranking=2)],
    "python": [cost(28.0, rank1=0.8745, mAP=0.7502, ranking=27.0)],
}


def test_ratios_are_medians_of_the_rounds_ratios() -> None:
    assert baseline(COSTS) == "numpy product"
    assert ratio(COSTS, "sttreid", "numpy product") == pytest.approx(1.4)  # of 1.4, 1.0 and 1.6
    assert ratio(COSTS, "cython", "sttreid") == pytest.approx(1.3)  # of 2, 1.3 and 1
    assert ratio(COSTS, "python", "sttreid") == pytest.approx(20)  # the first round alone
    rows = table(COSTS).splitlines()
    assert "| sttreid | 3 | 2.00 | 4.00 | 90 | 1.40 | 87.5000 | 75.0000 |" in rows
    assert "| torch product | 3 | 4.00 | 8.00 | 90 | 2.00 |  |  |" in rows
    assert "| cython, ranking alone | 3 | 1.80 | | | 0.50 | | |" in rows


def test_limits_say_what_held_and_what_missed() -> None:
    assert list(limits(COSTS, 80)) == [
        "CPU time of sttreid / numpy product: 1.40, at most 1.75: held",
        "CPU time of cython / sttreid: 1.30, at least 1: held",
        "CPU time of python / sttreid: 20.00, at least 15: held",
        "extra memory of sttreid in MB: 90.00, at most 80: MISSED",
        "cython and sttreid: rank-1 equal; mAP differs by 9.0e-06, at most 1e-05: held",
        "python and sttreid: rank-1 DIFFERENT; mAP differs by 2.0e-04, at most 1e-05: MISSED",
    ]
    assert not list(limits({"numpy product": [cost(1.0)]}, 80))


def test_rows_are_our_cost_beside_that_of_each_alternative() -> None:
    rows = list(compared("mars", COSTS))
    of_cython = {row["unit"]: row for row in rows if row["what"].endswith("cython")}
    assert of_cython["CPU s"] == {
        "what": "evaluation, mars, against cython",
        "ours": 2.0,
        "alternative": 2.8,
        "ratio": pytest.approx(2 / 2.6),
        "spread": [pytest.approx(0.5), pytest.approx(1.0)],
        "unit": "CPU s",
    }
    assert of_cython["MB"]["ratio"] == 1
    products = [row for row in rows if "product" in row["what"]]
    assert [(row["what"].split()[-2:], row["unit"]) for row in products] == [(["numpy", "product"], "CPU s")]


def test_a_run_prints_a_table_and_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(evaluation.SIZES, "mars", TINY)
    monkeypatch.setattr(evaluation, "names", lambda *_: ["torch product", "numpy product", "sttreid"])
    main(["--repeats", "1", "--threads", "1", "--folder", str(tmp_path)])
    text = capsys.readouterr().out
    for name in ("torch product", "numpy product", "sttreid"):
        assert re.search(rf"^\| {name} \| 1 \| \d+\.\d\d \| ", text, re.MULTILINE)
    assert "mars: 24 queries x 80 gallery rows x 64" in text
    assert "CPU time of sttreid / " in text
    assert not list(tmp_path.iterdir())


def test_json_has_the_machine_and_a_row_for_each_alternative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(evaluation.SIZES, "million", TINY)
    main(["--size", "million", "--repeats", "1", "--threads", "1", "--folder", str(tmp_path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["threads"] == 1
    assert found["machine"]["processor"]
    assert {"float64"} <= {row["what"].split()[-1] for row in found["rows"]}
    for row in found["rows"]:
        assert set(row) == {"what", "ours", "alternative", "ratio", "spread", "unit"}
        assert row["spread"][0] <= row["ratio"] <= row["spread"][1]

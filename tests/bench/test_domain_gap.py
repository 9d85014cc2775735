from pathlib import Path

import pandas as pd
import pytest
import yaml

from bench import domain_gap
from sttreid.config.conversion import dump
from sttreid.config.domain import load_domain
from sttreid.config.params import load
from sttreid.model.weights import save
from sttreid.stages.training_run import network_for
from tests.tiny import ROOT, parameters

SCALE = {
    "identities": 6, "distractors": 1, "cameras": 2, "min_frames": 6, "max_frames": 6, "width": 128,
    "height": 96, "fps": 12, "seed": 1, "train": 0.34, "validation": 0.34,
}  # fmt: skip


def rows(target: str, model: str, hits: list[int]) -> pd.DataFrame:
    table = pd.DataFrame({"query": range(len(hits)), "identity": [n // 2 for n in range(len(hits))]})
    return table.assign(target=target, model=model, hit=hits, ap=[hit / 2 for hit in hits])


def cells(text: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {line[0]: line[1:] for line in lines}


def test_a_report_names_the_model_of_each_column_and_the_gap() -> None:
    hits = pd.concat(
        [
            rows("a", "a", [1, 1, 1, 1]), rows("a", "b", [1, 1, 0, 0]),
            rows("a", domain_gap.DIRECT, [1, 0, 0, 0]), rows("a", domain_gap.HISTOGRAM, [0, 0, 0, 0]),
            rows("b", "a", [0, 0, 0, 0]), rows("b", "b", [1, 1, 0, 0]),
            rows("b", domain_gap.DIRECT, [1, 1, 0, 0]), rows("b", domain_gap.HISTOGRAM, [1, 1, 1, 1]),
        ]
    )  # fmt: skip
    table = cells(domain_gap.report(hits))
    assert table["a"][:4] == ["100.0 / 50.0", "50.0 / 25.0", "25.0 / 12.5", "0.0 / 0.0"]
    assert table["b"][:4] == ["50.0 / 25.0", "0.0 / 0.0", "50.0 / 25.0", "100.0 / 50.0"]
    assert table["mean"][:4] == ["75.0 / 37.5", "25.0 / 12.5", "37.5 / 18.8", "50.0 / 25.0"]
    gaps = [table[name][4].split(" ")[0] for name in ("a", "b", "mean")]
    assert gaps == ["+75.0", "+0.0", "+37.5"]


def test_a_report_of_direct_transfer_alone_has_no_gap() -> None:
    hits = pd.concat([rows("a", domain_gap.DIRECT, [1, 0]), rows("a", domain_gap.HISTOGRAM, [1, 1])])
    assert cells(domain_gap.report(hits))["a"] == ["", "", "50.0 / 25.0", "100.0 / 50.0", ""]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two pinned domains of the same people and small parameters."""
    domain = dump(load_domain("campus", ROOT / "domains"))
    (tmp_path / "domains").mkdir()
    for name, more in (("pier", {}), ("quay", {"same_people_as": "pier"})):
        (tmp_path / "domains" / f"{name}.yaml").write_text(yaml.safe_dump(domain | more))
    benchmark = SCALE | {"version": "v1", "domains": ["pier", "quay"]}
    (tmp_path / "domains" / "benchmark.yaml").write_text(yaml.safe_dump(benchmark))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(parameters({})))
    claims = tmp_path / "experiments" / "claims"
    claims.mkdir(parents=True)
    (claims / "params.yaml").write_bytes((ROOT / "experiments" / "claims" / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_models_are_fine_tuned_on_people_that_no_test_knows(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = load()
    key, source = domain_gap.source_set("pier", params, 6, 1)
    _, test = domain_gap.test_set("pier", params, 1)
    assert set(test.tracklets["identity"]) == {1, 2, 3, 4, 5, 6, 10_001}
    people = source.tracklets.groupby("split")["identity"].agg(set).to_dict()
    assert people["train"] == set(range(7, 13))
    assert people["validation"] == set(range(13, 53))
    save(network_for(source, params.model, params.clip.frames, 0), params.model, checkout / "start.pt")
    words = ["pier", "quay", "--model", "start.pt", "--steps", "2", "--people", "6", "--workers", "1"]
    domain_gap.main(words)
    first = capsys.readouterr().out
    hits = pd.read_parquet(domain_gap.FOLDER / "hits.parquet")
    models = {domain_gap.DIRECT, domain_gap.HISTOGRAM, "pier", "quay"}
    for target in ("pier", "quay"):
        found = hits[hits["target"] == target]
        assert set(found["model"]) == models
        assert set(found["identity"]) == {5, 6}
    assert len(list((domain_gap.FOLDER / "models").glob(f"{key}-*.pt"))) == 1
    domain_gap.main(words)  # all is there already
    again = capsys.readouterr().out
    assert "steps" in first
    assert "steps" not in again
    assert first.endswith(again)

"""The table at the end of `make repro`: a run beside the newest publication of the study seeds."""

import json
import sys
from contextlib import chdir
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from sttreid.analysis import spread
from sttreid.runtime.errors import InputError
from sttreid.runtime.provenance import Machine, Provenance
from tests.analysis.contents import TARGETS, cross_domain, cross_domain_content, cross_domain_queries
from tests.tiny import parameters
from tests.tool_modules import tool

SEEDS = [0, 1, 2]
MODELS = {
    f"cross_domain/{seed}/{name}.pt": f"{seed}{name}" for seed in SEEDS for name in (*TARGETS, "unreal")
}
STORES = {name: f"{name}.dir" for name in (*TARGETS, "unreal")}
MACHINE = Machine("3", {"torch": "2"}, "Some processor", "AVX2", "native", None, 1, "native")


def table(folder: Path) -> str:
    """What is printed in a folder."""
    with chdir(folder):
        return "\n".join(tool("published").main())


def publish(folder: Path) -> None:
    results = spread.seed_results(cross_domain([cross_domain_content(seed) for seed in SEEDS]))
    target = folder / "metrics" / "seeds" / "0123456789"
    target.mkdir(parents=True)
    params, date = parameters({}) | {"seeds": SEEDS}, "2026-01-01T00:00:00+00:00"
    made = Provenance("seeds", "0123456789" * 4, False, date, 1, [MACHINE], params, STORES, {}, [], MODELS)
    (target / "provenance.json").write_text(json.dumps(asdict(made)))
    (target / "seeds.json").write_text(json.dumps(spread.content(results)))


def run(folder: Path, seed: int, overrides: dict[str, Any], **scores: float) -> None:
    """A finished run; ``scores`` are rank-1 of the model of campus on other targets."""
    content = cross_domain_content(seed)
    for target, rank1 in scores.items():
        content["sources"]["campus"][target] |= {"rank1": rank1, "mAP": rank1 / 2}
    results = folder / "artifacts" / "results" / "cross_domain"
    results.mkdir(parents=True)
    (results / f"{seed}.json").write_text(json.dumps(content))
    cross_domain_queries([content]).to_parquet(results / f"{seed}.parquet", index=False)
    params = parameters(overrides) | {"seeds": [seed]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    outs = {f"artifacts/models/{name}": md5 for name, md5 in MODELS.items()}
    outs |= {f"artifacts/tracklets/{name}": md5 for name, md5 in STORES.items()}
    stages = {"any": {"outs": [{"path": path, "md5": md5} for path, md5 in outs.items()]}}
    (folder / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))


def rows(output: str) -> dict[str, str]:
    """Name of a number -> its verdict."""
    verdicts = ("identical", "within", "outside")
    words = [line.split("  ") for line in output.splitlines() if line.endswith(verdicts)]
    return {line[0].strip(): line[-1].strip() for line in words}


def test_without_a_publication_one_sentence_says_so(tmp_path: Path) -> None:
    run(tmp_path, 1, {})
    assert len(table(tmp_path).splitlines()) == 1


def test_the_same_run_is_identical_in_numbers_and_weights(tmp_path: Path) -> None:
    publish(tmp_path)
    run(tmp_path, 1, {})
    output = table(tmp_path)
    verdicts = rows(output)
    assert len(verdicts) == 2 * (4 + 4 * len(TARGETS))
    assert set(verdicts.values()) == {"identical"}
    assert verdicts.keys() >= {"rank-1 in-domain", "mAP direct-transfer", "rank-1 unreal -> station"}
    assert "4 of 4 models" in output
    assert "Some processor" in output
    assert "differ:" not in output


def test_another_run_is_judged_by_the_spread_and_says_what_differs(tmp_path: Path) -> None:
    publish(tmp_path)
    run(tmp_path, 1, {"loss.entropy": 0.1}, winter=0.45, station=1.0)
    lock = (tmp_path / "dvc.lock").read_text()
    (tmp_path / "dvc.lock").write_text(lock.replace("1campus", "x").replace("winter.dir", "y.dir"))
    output = table(tmp_path)
    verdicts = rows(output)
    assert verdicts["rank-1 campus -> winter"] == "within"
    assert verdicts["rank-1 campus -> station"] == "outside"
    assert verdicts["rank-1 winter -> campus"] == "identical"
    assert "3 of 4 models" in output
    assert "Parameters differ: loss.entropy 0.1 (published: 0.2)." in output
    assert "tracklets of winter." in output


def test_models_of_dropped_targets_are_not_counted(tmp_path: Path) -> None:
    publish(tmp_path)
    run(tmp_path, 1, {"targets": TARGETS[:2]})
    assert "3 of 3 models" in table(tmp_path)


def test_a_seed_that_was_not_published_has_no_published_weights(tmp_path: Path) -> None:
    publish(tmp_path)
    run(tmp_path, 4, {})
    output = table(tmp_path)
    assert "identical" not in rows(output).values()
    assert "seed 4: not published" in output


@pytest.mark.parametrize("damage", ["missing results", "damaged publication"])
def test_what_cannot_be_read_is_named(tmp_path: Path, damage: str) -> None:
    publish(tmp_path)
    run(tmp_path, 1, {})
    broken = {
        "missing results": tmp_path / "artifacts" / "results" / "cross_domain" / "1.json",
        "damaged publication": tmp_path / "metrics" / "seeds" / "0123456789" / "seeds.json",
    }[damage]
    broken.unlink()
    with pytest.raises(InputError, match=rf"{broken.name}: cannot be read"):
        table(tmp_path)


def test_the_table_of_the_readme_is_that_of_the_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tool("readme_tables")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    page = tmp_path / "README.md"
    before = "text\n\n<!-- generated by tools/readme_tables.py: seeds -->\n<!-- end -->\n\ntext\n"
    page.write_text(before)
    monkeypatch.setattr(tables, "PAGE", page)
    monkeypatch.setattr(tables, "QUOTED", ())
    monkeypatch.setattr(sys, "argv", ["readme_tables.py"])
    tables.main()
    assert page.read_text() == before, "nothing is published"
    publish(tmp_path)
    tables.main()
    rows = [line.strip("|").split(" | ") for line in page.read_text().splitlines() if line.startswith("|")]
    assert [row[0].strip() for row in rows[2:]] == ["rank-1", "mAP"]
    assert [cell.strip(" |") for cell in rows[2][1:]] == ["60.0 ± 10.0", "40.0 ± 10.0", "30.0 ± 10.0", "50.0"]

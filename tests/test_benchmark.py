"""The pinned target sets agree with domains/, and the sample remote holds nothing unreferenced."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from sttreid.config.domain import load_benchmark, load_domain
from sttreid.simulate.manifest import checksums, domain_on_disk, scale_on_disk
from sttreid.simulate.plan import sightings, splits
from sttreid.simulate.wardrobe import draw_appearance
from tests.tiny import ROOT

OBJECTS = ROOT / "data-store" / "files" / "md5"
BENCHMARK = load_benchmark(ROOT / "domains")
HARDER = load_benchmark(ROOT / "domains", "benchmark-v2")
PINNED = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"][0]
SETS = pytest.mark.parametrize("name", [*BENCHMARK.domains, *HARDER.domains])
MANIFESTS = {  # SHA-256 of the manifest of each set, which holds the checksums of its files
    "campus": "61cac37ae08f7cff0ae890218492fb10fb76858fe3c6627048f6547907c29038",
    "winter": "247fc4a54eb281fb3788aa312bfda19fce3edc11ab67bfcb563b561e33fd20f2",
    "station": "7fd4e97669e83975ebf1bb71de7d08ace5316912d3aaed10195b4dcd5daf2eb2",
    "campus-v2": "0833816de27eb0567f02098cff8c47c94e263d4b118a2f3e73f534be685d9c7a",
    "winter-v2": "f9ac63fe8f6796d3d56efbac31a10e889ccee0f8e408fccbb166b2b312919c20",
    "station-v2": "e5916d0af1f45eeaf509904ae8f4e967405779b17a7f1e64af43c8631bcbb33d",
}


def path_of(md5: str) -> Path:
    return OBJECTS / md5[:2] / md5[2:]


FILES = {entry["relpath"]: path_of(entry["md5"]) for entry in json.loads(path_of(PINNED["md5"]).read_text())}


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILES[f"{name}/manifest.json"].read_text())
    return content


def published_models() -> set[Path]:
    pointers = (ROOT / "models").glob("*.dvc")
    return {path_of(yaml.safe_load(pointer.read_text())["outs"][0]["md5"]) for pointer in pointers}


def cached_outputs() -> set[str]:
    """The MD5s of the outputs of dvc.lock that DVC's cache holds, as dvc.yaml and its templates name them."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    uncached = ("artifacts/videos/", "artifacts/tracklets/")
    variants = {
        f"ablate@{name}-{seed}" for name in params["ablation"]["variants"] for seed in params["seeds"]
    }
    return {
        out["md5"]
        for name, stage in lock.items()
        if not name.startswith("ablate@") or name in variants
        for out in stage["outs"]
        if not out["path"].startswith(uncached)
        and (not out["path"].startswith("metrics/") or out["path"].startswith("metrics/report/"))
    }


def of_run(md5s: set[str]) -> set[Path]:
    """The objects of a run: files, and lists of folders with their files."""
    paths = {path_of(md5) for md5 in md5s}
    lists = [json.loads(path.read_text()) for path in paths if path.name.endswith(".dir") and path.exists()]
    return paths | {path_of(entry["md5"]) for entries in lists for entry in entries}


def test_the_remote_holds_the_pinned_files_published_models_the_whole_run_or_none_and_no_others() -> None:
    present = {path for path in OBJECTS.rglob("*") if path.is_file()}
    always = {path_of(PINNED["md5"]), *FILES.values(), *published_models()}
    assert always <= present
    run = of_run(cached_outputs())
    assert present in (always, always | run), (
        "`make publish-run` publishes the run, `tools/data_store.sh pinned` none"
    )
    assert {path.split("/")[0] for path in FILES} == {*BENCHMARK.domains, *HARDER.domains}
    assert sum(path.stat().st_size for path in FILES.values()) == PINNED["size"] <= 45_000_000


@SETS
def test_a_version_never_changes(name: str) -> None:
    """Other bytes need a new version of the benchmark."""
    assert hashlib.sha256(FILES[f"{name}/manifest.json"].read_bytes()).hexdigest() == MANIFESTS[name]


@SETS
def test_every_file_has_the_checksum_of_its_manifest(name: str) -> None:
    expected = checksums(FILES[f"{name}/manifest.json"])
    names = {path.split("/")[1] for path in FILES if path.startswith(f"{name}/")}
    assert names == {*expected, "manifest.json"}
    for file, checksum in expected.items():
        assert hashlib.sha256(FILES[f"{name}/{file}"].read_bytes()).hexdigest() == checksum


@SETS
def test_a_set_was_rendered_with_the_values_of_domains(name: str) -> None:
    """A change of a pinned domain or of its scale needs a new rendering and a new version."""
    content, benchmark = manifest(name), HARDER if name in HARDER.domains else BENCHMARK
    assert content["version"] == benchmark.version
    assert content["scale"] == scale_on_disk(benchmark)
    assert content["domain"] == domain_on_disk(load_domain(name, ROOT / "domains"))


@SETS
def test_a_set_has_the_promised_size(name: str) -> None:
    content = manifest(name)
    splits = {split: set(identities) for split, identities in content["splits"].items()}
    assert len(content["cameras"]) >= 6
    assert sum(len(splits[split]) for split in ("train", "validation", "test")) >= 150
    assert len(splits["distractors"]) >= 50
    assert len(set().union(*splits.values())) == sum(len(identities) for identities in splits.values())
    tracks = pd.read_csv(io.BytesIO(FILES[f"{name}/tracks.csv"].read_bytes()))
    cameras = tracks.groupby("identity")["camera"].nunique()
    assert (cameras[list(splits["distractors"])] == 1).all()
    assert (cameras.drop(list(splits["distractors"])) >= 2).all()
    assert tracks["identity"].isin(splits["test"]).sum() >= 250
    assert (tracks["mistaken"] == 0).all()


@pytest.mark.parametrize("name", HARDER.domains)
def test_the_harder_benchmark_has_the_people_and_cameras_of_the_first(name: str) -> None:
    assert scale_on_disk(HARDER) == scale_on_disk(BENCHMARK)
    assert splits(HARDER) == splits(BENCHMARK)
    harder = load_domain(name, ROOT / "domains")
    model = harder.same_people_as
    assert model in BENCHMARK.domains
    plain = load_domain(model, ROOT / "domains")
    assert sightings(name, harder, HARDER) == sightings(model, plain, BENCHMARK)
    for identity in (1, 2, 101, 220):
        heights = [
            draw_appearance(identity, of, domain, BENCHMARK.seed).physique.height
            for of, domain in ((name, harder), (model, plain))
        ]
        assert heights[0] == heights[1]


def test_the_harder_benchmark_shares_no_people_between_its_domains() -> None:
    assert len({load_domain(name, ROOT / "domains").same_people_as for name in HARDER.domains}) == 3

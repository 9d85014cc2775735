"""The pinned target sets are what params.yaml says they are, and nothing else lies beside them."""

import hashlib
import io
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from sttreid.config.domain import Scale
from sttreid.config.params import load
from sttreid.simulate.manifest import checksums
from tests.tiny import ROOT

OBJECTS = ROOT / "data-store" / "files" / "md5"
PARAMS = load(ROOT / "params.yaml")
PINNED = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"][0]
SETS = pytest.mark.parametrize("name", ["campus", "winter", "station"])


def path_of(md5: str) -> Path:
    return OBJECTS / md5[:2] / md5[2:]


FILES = {entry["relpath"]: path_of(entry["md5"]) for entry in json.loads(path_of(PINNED["md5"]).read_text())}


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILES[f"{name}/manifest.json"].read_text())
    return content


def test_the_remote_holds_the_pinned_files_and_no_others() -> None:
    assert sorted(path for path in OBJECTS.rglob("*") if path.is_file()) == sorted(
        {path_of(PINNED["md5"]), *FILES.values()}
    )
    assert sum(path.stat().st_size for path in FILES.values()) == PINNED["size"] <= 45_000_000


def test_a_version_never_changes() -> None:
    """Other bytes need another name: add it here with its own checksum."""
    assert PINNED["md5"] == {"bench-v1": "43b247387cca716044e45efdbd76363e.dir"}[PARAMS.benchmark.version]


@SETS
def test_every_file_has_the_checksum_of_its_manifest(name: str) -> None:
    expected = checksums(FILES[f"{name}/manifest.json"])
    found = {path.split("/")[1] for path in FILES if path.startswith(f"{name}/")}
    assert found == {*expected, "manifest.json"}
    for file, checksum in expected.items():
        assert hashlib.sha256(FILES[f"{name}/{file}"].read_bytes()).hexdigest() == checksum


@SETS
def test_a_set_is_what_the_parameters_of_its_version_say(name: str) -> None:
    """Who changes a domain or the scale must render the sets anew and give them another name."""
    made_by = manifest(name)
    assert made_by["version"] == PARAMS.benchmark.version
    assert made_by["scale"] == {field.name: getattr(PARAMS.benchmark, field.name) for field in fields(Scale)}
    assert made_by["domain"] == asdict(PARAMS.domains[name])


@SETS
def test_a_set_is_as_large_as_promised(name: str) -> None:
    content = manifest(name)
    splits = {split: set(people) for split, people in content["splits"].items()}
    assert len(content["cameras"]) >= 6
    assert sum(len(splits[split]) for split in ("train", "validation", "test")) >= 150
    assert len(splits["distractors"]) >= 50
    assert len(set().union(*splits.values())) == sum(len(people) for people in splits.values())
    tracks = pd.read_csv(io.BytesIO(FILES[f"{name}/tracks.csv"].read_bytes()))
    seen = tracks.groupby("identity")["camera"].nunique()
    assert (seen[list(splits["distractors"])] == 1).all()
    assert (seen.drop(list(splits["distractors"])) >= 2).all()
    assert tracks["identity"].isin(splits["test"]).sum() >= 250
    assert (tracks["mistaken"] == 0).all()


def test_the_readme_names_the_version() -> None:
    assert f"`{PARAMS.benchmark.version}`" in (ROOT / "README.md").read_text()

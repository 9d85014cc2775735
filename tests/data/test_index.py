"""Manifests of large folders: what they notice, where the folder is looked for, the command."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from sttreid.config.datasets import Dataset, root_variable
from sttreid.data.folder_manifest import (
    changed_parts,
    dataset_folder,
    local_folder,
    read_manifest,
    scan,
    write_local,
)
from sttreid.data.index import index
from sttreid.runtime.errors import InputError
from tests import sets
from tests.tiny import parameters

ROOT = Path("sets/mars.json")
MARS = Dataset("mars", ROOT)


@pytest.fixture
def mars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of MARS outside of the project; the project is the current folder."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv(root_variable("mars"), raising=False)
    content = parameters({})
    content["datasets"]["mars"] = {"reader": "mars", "root": str(ROOT)}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    return sets.mars(tmp_path / "Sätze auf Deutsch")


def test_a_manifest_counts_the_files_of_every_part(mars: Path) -> None:
    (mars / "readme.txt").write_text("12345")
    (mars / ".hidden").write_text("12345")
    parts = scan(mars)["parts"]
    assert sorted(parts) == [".", "bbox_test", "bbox_train", "info"]
    for name, part in parts.items():
        files = [mars / "readme.txt"] if name == "." else [f for f in (mars / name).rglob("*") if f.is_file()]
        assert (part["files"], part["bytes"]) == (len(files), sum(f.stat().st_size for f in files))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda first, _: first.rename(first.with_name("0003C1T0001F009.jpg")), "bbox_train"),
        (lambda first, _: first.write_bytes(first.read_bytes() + b"x"), "bbox_train"),
        (lambda first, _: os.utime(first, (1, 10**9)), "bbox_train"),
        (lambda first, _: first.unlink(), "bbox_train"),
        (lambda first, root: shutil.copy(first, root / "info"), "info"),
        (lambda first, root: shutil.copy(first, root), "."),
        (lambda _, root: shutil.copytree(root / "info", root / "more"), "more"),
        (lambda _, root: shutil.rmtree(root / "info"), "info"),
    ],
)
def test_names_lengths_and_times_are_noticed(mars: Path, change, part: str) -> None:
    before = scan(mars)
    assert scan(mars) == before
    change(mars / "bbox_train/0003/0003C1T0001F001.jpg", mars)
    assert changed_parts(before, scan(mars)) == [part]


def test_a_moved_copy_has_the_same_manifest(mars: Path, tmp_path: Path) -> None:
    before = scan(mars)
    shutil.copytree(mars, tmp_path / "copy", copy_function=shutil.copy2)
    assert scan(tmp_path / "copy") == before
    (tmp_path / "link").symlink_to(mars)
    assert scan(tmp_path / "link") == before


def test_footage_is_checked_before_it_is_named(mars: Path) -> None:
    content = parameters({})
    mine = {"reader": "footage", "root": "sets/mine.json", "max_frame_gap": 5, "test": 0.5}
    mine["identity_scope"] = "global"
    content["datasets"]["mine"] = mine
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=r"looked for <camera>\.mp4 .*, found bbox_test, bbox_train, info"):
        index("mine", mars)
    assert not Path("sets").exists()


def test_links_round_in_a_circle_and_to_nothing_do_no_harm(mars: Path) -> None:
    before = scan(mars)
    (mars / "info" / "self").symlink_to("self")
    (mars / "info" / "gone").symlink_to("nowhere")
    (mars / "info" / "up").symlink_to(mars)
    (mars / "info" / "own").symlink_to(mars / "info")
    assert scan(mars) == before


def test_a_folder_without_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    with pytest.raises(InputError, match="must hold at least one file, got none"):
        scan(tmp_path)


def test_a_folder_whose_name_is_no_text_is_refused(mars: Path) -> None:
    (mars / os.fsdecode(b"\xff")).mkdir()
    with pytest.raises(InputError, match=r"a folder's name must be text in UTF-8, got '\\udcff'"):
        index("mars", mars)


def test_the_environment_goes_before_the_local_file(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"STTREID_ROOT_MARS or in sets/local\.yaml: run `sttreid index"):
        local_folder("mars", ROOT)
    write_local("mars", ROOT, mars)
    assert local_folder("mars", ROOT) == mars
    monkeypatch.setenv("ELSEWHERE", str(tmp_path))
    Path("sets/local.yaml").write_text("mars: $ELSEWHERE/gone\n")
    with pytest.raises(InputError, match=f"^{tmp_path}/gone: the folder of mars must exist"):
        local_folder("mars", ROOT)
    monkeypatch.setenv("STTREID_ROOT_MARS", str(mars))
    assert local_folder("mars", ROOT) == mars
    Path("sets/local.yaml").write_text("[1, 2]\n")
    monkeypatch.delenv("STTREID_ROOT_MARS")
    with pytest.raises(InputError, match="must map names of data sets to folders"):
        local_folder("mars", ROOT)


@pytest.mark.parametrize(
    "text", ["9" * 5000, "/a/" + "b" * 256, "a/" * 4000, "$LONG/a", "~nobody-of-this-name/a"]
)
def test_a_folder_that_cannot_be_is_told_with_what_names_it(
    mars: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("LONG", "b" * 300)
    write_local("mars", ROOT, mars)
    Path("sets/local.yaml").write_text(f"mars: {text}\n")
    with pytest.raises(InputError, match=r"sets/local\.yaml") as error:
        local_folder("mars", ROOT)
    assert len(str(error.value)) < 500
    monkeypatch.setenv("STTREID_ROOT_MARS", text)
    with pytest.raises(InputError, match="STTREID_ROOT_MARS"):
        local_folder("mars", ROOT)


def test_a_folder_may_be_named_like_a_variable(mars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mars.rename(mars.with_name("$HOME sweet ${HOME}"))
    index("mars", folder)
    assert dataset_folder("mars", MARS) == folder
    monkeypatch.setenv("STTREID_ROOT_MARS", str(folder))
    assert dataset_folder("mars", MARS) == folder


def test_two_sets_of_one_variable_are_refused(mars: Path) -> None:
    content = parameters({})
    for name in ("my-set", "my_set"):
        content["datasets"][name] = {"reader": "mars", "root": "sets/mars.json"}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=r"must not share .* STTREID_ROOT_MY_SET, got 'my-set'"):
        index("my-set", mars)


def test_the_command_writes_the_manifest_and_no_path_of_the_machine_into_it(mars: Path) -> None:
    printed = index("mars", mars)
    assert "OFF  training identities: must be 625, got 3 (622 too few)" in printed
    assert f"sets/mars.json: {sum(p['files'] for p in scan(mars)['parts'].values())} files" in printed
    assert read_manifest(ROOT, "mars") == scan(mars)
    assert str(mars.parent) not in ROOT.read_text()
    assert dataset_folder("mars", MARS) == mars
    (mars / "info" / "more.txt").write_text("more")
    with pytest.raises(InputError, match=r"must be as sets/mars\.json says, but info changed: run"):
        dataset_folder("mars", MARS)
    index("mars")
    assert dataset_folder("mars", MARS) == mars


def test_a_folder_of_the_repository_needs_no_manifest(mars: Path) -> None:
    assert dataset_folder("campus", Dataset("cameras", Path("data/campus"))) == Path("data/campus")
    with pytest.raises(InputError, match=r"datasets\.campus\.root: .*manifest.*got 'data/campus'"):
        index("campus", mars)


def test_a_manifest_that_is_missing_or_none_is_named(mars: Path) -> None:
    write_local("mars", ROOT, mars)
    with pytest.raises(InputError, match=r"^sets/mars\.json: the manifest is missing: run"):
        dataset_folder("mars", MARS)
    for content in ({"format": "other"}, [1]):
        ROOT.write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"^sets/mars\.json: format must be 'sttreid-index/1', got"):
            dataset_folder("mars", MARS)


@pytest.mark.parametrize("more", [{}, {"parts": []}])
def test_a_manifest_without_parts_is_named(mars: Path, more: dict[str, object]) -> None:
    write_local("mars", ROOT, mars)
    ROOT.write_text(json.dumps({"format": "sttreid-index/1"} | more))
    with pytest.raises(InputError, match=r"^sets/mars\.json: 'parts' must map folders to their files, got"):
        dataset_folder("mars", MARS)


def test_errors_of_the_command_are_sentences(mars: Path) -> None:
    for name, folder, words in (
        ("mers", mars, r"params\.yaml: datasets .*'mers'.* \(did you mean 'mars'\?\)"),
        ("mars", mars / "info", "looked for bbox_train"),
        ("mars", mars / "none", "must exist"),
    ):
        with pytest.raises(InputError, match=words):
            index(name, folder)
    assert not ROOT.exists()

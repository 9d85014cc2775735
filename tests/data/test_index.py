"""Manifests of large folders: what they notice, where the folder is looked for, the command."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sttreid.config.datasets import Dataset, variable
from sttreid.data.index import differing, main, place, read_manifest, remember, source, take
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
    monkeypatch.delenv(variable("mars"), raising=False)
    content = parameters({})
    content["datasets"]["mars"] = {"reader": "mars", "root": str(ROOT)}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    return sets.mars(tmp_path / "Sätze auf Deutsch")


def test_a_manifest_counts_the_files_of_every_part(mars: Path) -> None:
    (mars / "readme.txt").write_text("12345")
    (mars / ".hidden").write_text("12345")
    parts = take(mars)["parts"]
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
    before = take(mars)
    assert take(mars) == before
    change(mars / "bbox_train/0003/0003C1T0001F001.jpg", mars)
    assert differing(before, take(mars)) == [part]


def test_a_moved_copy_has_the_same_manifest(mars: Path, tmp_path: Path) -> None:
    before = take(mars)
    shutil.copytree(mars, tmp_path / "copy", copy_function=shutil.copy2)
    assert take(tmp_path / "copy") == before
    (tmp_path / "link").symlink_to(mars)
    assert take(tmp_path / "link") == before


def test_footage_is_checked_before_it_is_named(mars: Path) -> None:
    content = parameters({})
    mine = {"reader": "footage", "root": "sets/mine.json", "gap": 5, "test": 0.5, "numbers": "shared"}
    content["datasets"]["mine"] = mine
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=r"looked for <camera>\.mp4 .*, found bbox_test, bbox_train, info"):
        main(["mine", str(mars)])
    assert not Path("sets").exists()


def test_links_round_in_a_circle_and_to_nothing_do_no_harm(mars: Path) -> None:
    before = take(mars)
    (mars / "info" / "self").symlink_to("self")
    (mars / "info" / "gone").symlink_to("nowhere")
    (mars / "info" / "up").symlink_to(mars)
    (mars / "info" / "own").symlink_to(mars / "info")
    assert take(mars) == before


def test_a_folder_without_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    with pytest.raises(InputError, match="must hold at least one file, got none"):
        take(tmp_path)


def test_a_folder_whose_name_is_no_text_is_refused(mars: Path) -> None:
    (mars / os.fsdecode(b"\xff")).mkdir()
    with pytest.raises(InputError, match=r"a folder's name must be text in UTF-8, got '\\udcff'"):
        main(["mars", str(mars)])


def test_the_environment_goes_before_the_local_file(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"STTREID_ROOT_MARS or by sets/local\.yaml: run `python -m"):
        place("mars", ROOT)
    remember("mars", ROOT, mars)
    assert place("mars", ROOT) == mars
    monkeypatch.setenv("ELSEWHERE", str(tmp_path))
    Path("sets/local.yaml").write_text("mars: $ELSEWHERE/gone\n")
    with pytest.raises(InputError, match=f"^{tmp_path}/gone: the folder of mars must be there"):
        place("mars", ROOT)
    monkeypatch.setenv("STTREID_ROOT_MARS", str(mars))
    assert place("mars", ROOT) == mars
    Path("sets/local.yaml").write_text("[1, 2]\n")
    monkeypatch.delenv("STTREID_ROOT_MARS")
    with pytest.raises(InputError, match="must map names of data sets to folders"):
        place("mars", ROOT)


def test_a_folder_may_be_named_like_a_variable(mars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mars.rename(mars.with_name("$HOME sweet ${HOME}"))
    main(["mars", str(folder)])
    assert source("mars", MARS) == folder
    monkeypatch.setenv("STTREID_ROOT_MARS", str(folder))
    assert source("mars", MARS) == folder


def test_a_name_becomes_a_variable() -> None:
    assert variable("ls-vid_2") == "STTREID_ROOT_LS_VID_2"


def test_two_sets_of_one_variable_are_refused(mars: Path) -> None:
    content = parameters({})
    for name in ("my-set", "my_set"):
        content["datasets"][name] = {"reader": "mars", "root": "sets/mars.json"}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="must not share the variable STTREID_ROOT_MY_SET, got 'my-set'"):
        main(["my-set", str(mars)])


def test_the_command_writes_the_manifest_and_no_path_of_the_machine_into_it(
    mars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["mars", str(mars)])
    printed = capsys.readouterr().out
    assert "OFF  training identities: must be 625, got 3 (622 too few)" in printed
    assert f"sets/mars.json: {sum(p['files'] for p in take(mars)['parts'].values())} files" in printed
    assert read_manifest(ROOT, "mars") == take(mars)
    assert str(mars.parent) not in ROOT.read_text()
    assert source("mars", MARS) == mars
    (mars / "info" / "more.txt").write_text("more")
    with pytest.raises(InputError, match=r"must be as sets/mars\.json says, but info changed: run"):
        source("mars", MARS)
    main(["mars"])
    assert source("mars", MARS) == mars


def test_a_folder_of_the_repository_needs_no_manifest(mars: Path) -> None:
    assert source("campus", Dataset("cameras", Path("data/campus"))) == Path("data/campus")
    with pytest.raises(InputError, match=r"campus: the root must be a manifest.*got 'data/campus'"):
        main(["campus", str(mars)])


def test_a_manifest_that_is_missing_or_none_is_named(mars: Path) -> None:
    remember("mars", ROOT, mars)
    with pytest.raises(InputError, match=r"^sets/mars\.json: the manifest is missing: run"):
        source("mars", MARS)
    for content in ({"format": "other"}, [1]):
        ROOT.write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"^sets/mars\.json: format must be 'sttreid-index/1', got"):
            source("mars", MARS)


@pytest.mark.parametrize("more", [{}, {"parts": []}])
def test_a_manifest_without_parts_is_named(mars: Path, more: dict[str, object]) -> None:
    remember("mars", ROOT, mars)
    ROOT.write_text(json.dumps({"format": "sttreid-index/1"} | more))
    with pytest.raises(InputError, match=r"^sets/mars\.json: 'parts' must map folders to their files, got"):
        source("mars", MARS)


def test_errors_of_the_command_are_sentences(mars: Path) -> None:
    command = [sys.executable, "-m", "sttreid.data.index"]
    for words, sentence in (
        (["mers", str(mars)], "datasets has no 'mers' (did you mean 'mars'?)"),
        (["mars", str(mars / "info")], "looked for bbox_train"),
        (["mars", str(mars / "none")], "must be there"),
    ):
        done = subprocess.run([*command, *words], capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 1
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
    assert not ROOT.exists()

"""Every fenced block of README and docs runs, or its command lines parse, or it says why neither happens.

Python runs in a folder with small films and the published model, and so do the commands of ``sttreid`` that
take seconds. All others are read by the real parser of their program, and what they name is looked up:
targets of the Makefile, stages, parameters with their values, extras, options of benchmarks.
"""

import argparse
import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import typer
import yaml
from dvc.cli.parser import get_main_parser
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps, to_hydra_overrides

import sttreid
from sttreid.catalogue.shelf import locate
from sttreid.cli.commands import app
from sttreid.config import consistency
from sttreid.config.domain import load_domain
from sttreid.config.params import load
from sttreid.inference import load_model
from sttreid.model.weights import read_architecture, save
from sttreid.retrieval import evaluate
from sttreid.search.calibration import calibration_path
from sttreid.tracklets.store import write_store
from tests.cli.command import run
from tests.documented_blocks import PAGES, ROOT, SHELL, Block, all_blocks, blocks, commands
from tests.search.walkers import BODY, Walker, film

LINKS = ("bench", "data-store", "profiles", "src")  # of the workplace into the checkout
COPIES = ("domains", "dvc.yaml", "experiments", "models", "params.yaml")  # some commands write there
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
FRAMES = 30
WALKERS = {17: Walker(10, 20, 2), 18: Walker(140, 70, -2)}  # track -> who walks in both films
RUN = {"check-study", "embed", "evaluate", "export", "info", "link", "new-study", "search"}
SLOW = {"onnx"}  # among the words of such a command: it is only parsed
PYTHON = all_blocks("python")
SHELLS = all_blocks(*SHELL)
HARMLESS = {"cd", "export", "mkdir", "rm", "seq", "source"}  # of the shell: their words mean nothing to us


def refused(reason: str) -> str:
    return f"{reason}: mend it, or write <!-- not run: REASON --> on the line before the block"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path]) -> Path:
    """Files of the names that the pages use, in what looks like a checkout with the published model."""
    folder: Path = tmp_path_factory.mktemp("workplace")
    for name in LINKS:
        (folder / name).symlink_to(ROOT / name)
    for name in COPIES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("run"))  # of a study
        else:
            shutil.copy(ROOT / name, folder / name)
    for name in ("hall", "lobby"):
        write_video(folder / f"{name}.mp4", film(FRAMES, *WALKERS.values()))
        rows = [
            f"{frame + 1},{track},{walker.left(frame)},{walker.top},{BODY[1]},{BODY[0]},1,1,1"
            for frame in range(FRAMES)
            for track, walker in WALKERS.items()
        ]
        (folder / f"{name}.txt").write_text("\n".join(rows) + "\n")
        boxes = [
            {"frame": frame + 1, "id": track, "bbox": [walker.left(frame), walker.top, BODY[1], BODY[0]]}
            for frame in range(FRAMES)
            for track, walker in WALKERS.items()
        ]
        (folder / f"{name}.json").write_text(json.dumps(boxes))
    labelled = [f"{name}.mp4,{track},{track}\n" for name in ("hall", "lobby") for track in WALKERS]
    (folder / "labels.csv").write_text("".join(["video,track,identity\n", *labelled]))
    published, model = locate(None, folder), folder / "campus.pt"
    network = load_model(published)
    save(network, read_architecture(published).model, model)
    torch.save(network.state_dict(), folder / "checkpoint.pth")
    for path in (calibration_path(model), folder / "mine.calibration.json"):  # the same weights
        shutil.copy(calibration_path(published), path)
    write_small_store(folder / "artifacts" / "tracklets" / "campus", *network.image_size)
    write_features(folder)
    return folder


def write_small_store(folder: Path, height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    tracklets = [(identity, camera) for identity in range(4) for camera in (1, 2)]
    rows = [
        (number, identity, camera, frame, "test", 1.0)
        for number, (identity, camera) in enumerate(tracklets)
        for frame in (1, 2, 3)
    ]
    index = pd.DataFrame(rows, columns=["tracklet", "identity", "camera", "frame", "split", "visibility"])
    crops = rng.integers(0, 256, (len(index), height, width, 3)).astype(np.uint8)
    write_store(folder, index, enumerate(crops), height, width)


def labels(seed: int, count: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    identity = 1 + np.arange(count) % 5
    features = rng.standard_normal((count, 8)).astype(np.float32)
    return {"features": features, "identity": identity, "camera": np.arange(count) // 5 % 3}


def write_features(folder: Path) -> None:
    """Query and gallery, as features and as distances."""
    sides = {"q": labels(0, 6), "g": labels(1, 20)}
    for name, side in sides.items():
        np.savez(folder / f"{name}.npz", **side)
        pd.DataFrame({key: side[key] for key in ("identity", "camera")}).to_csv(folder / f"{name}.csv")
    np.save(folder / "d.npy", np.abs(sides["q"]["features"][:, :1] - sides["g"]["features"][:, 0]))


@pytest.fixture(scope="module")
def given(workplace: Path) -> dict[str, Any]:
    """Values of the names that the Python blocks do not define."""
    query, gallery = labels(0, 6), labels(1, 20)
    names: dict[str, Any] = {"query_features": query["features"], "gallery_features": gallery["features"]}
    names |= {"query_ids": query["identity"], "query_cameras": query["camera"]}
    names |= {"gallery_ids": gallery["identity"], "gallery_cameras": gallery["camera"]}
    names |= {"ids": gallery["identity"], "cameras": gallery["camera"], "is_query": np.arange(20) < 2}
    names["distances"] = np.load(workplace / "d.npy")
    names["images"] = np.random.default_rng(0).integers(0, 256, (6, 48, 24, 3)).astype(np.uint8)
    results = [
        evaluate(
            labels(seed, 6)["features"],
            gallery["features"],
            (query["identity"], query["camera"]),
            (gallery["identity"], gallery["camera"]),
            "market",
        )
        for seed in (2, 3)
    ]
    return names | {"our_results": results, "their_results": results[::-1]}


def test_blocks_are_in_a_known_language_and_excuses_have_reasons() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    assert len(found) > 40
    assert len(PYTHON) > 4
    assert len(SHELLS) > 20
    for block in found:
        assert block.language in (*SHELL, "json", "python", "text", "yaml"), block
        assert block.excuse != "", f"{block}: <!-- not run: REASON --> must give a reason"


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_runs(
    block: Block, workplace: Path, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    names = {"__name__": "page", "sttreid": sttreid, **given}
    exec(compile(block.text, str(block), "exec"), names)


@pytest.mark.parametrize("block", all_blocks("yaml", "json"), ids=str)
def test_data_can_be_read(block: Block) -> None:
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize("block", SHELLS, ids=str)
def test_commands_run_or_parse(block: Block, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syntax = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert syntax.returncode == 0, syntax.stderr
    found = commands(block.text)
    assert found, refused(f"{block}: no command")
    monkeypatch.chdir(workplace)
    for program, *words in found:
        if program not in HARMLESS:
            assert program in PROGRAMS, refused(f"{block}: no test knows the program {program}")
            PROGRAMS[program](words)


def check_sttreid(words: list[str]) -> None:
    """Run what takes seconds; parse the rest."""
    if words[0] in RUN and not SLOW & set(words):
        assert run(*words) == 0, refused(f"sttreid {' '.join(words)} failed")
        return
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, words
        command = command.commands[rest.pop(0)]
    command.make_context(command.name, rest)


def check_dvc(words: list[str]) -> None:
    """DVC's parser reads the words; targets are stages or files, and parameters exist and fit together."""
    arguments = get_main_parser().parse_args(words)
    for target in getattr(arguments, "targets", None) or []:
        if words[0] in ("repro", "pull", "checkout", "commit") or words[:2] == ["exp", "run"]:
            assert target.partition("@")[0] in STAGES or (ROOT / target).exists(), target
    given = getattr(arguments, "set_param", None) or []
    if not any("$" in each for each in given):  # of a loop of the shell
        check_parameters(given)


def check_parameters(given: list[str]) -> None:
    """The overrides of each experiment of a sweep, one after the other, as `dvc exp run` applies them."""
    overrides = to_path_overrides(given)
    lines = [line for some in overrides.values() for line in some]
    swept = any(each.is_sweep_override() for each in to_hydra_overrides(lines))
    for sweep in get_hydra_sweeps(overrides) if swept else [overrides]:
        for name, lines in sweep.items():
            path = Path(name)
            before = path.read_text()
            try:
                apply_overrides(path, lines)
                if path.parent.name == "domains":
                    load_domain(path.stem)
                else:
                    consistency.check(load(path))
            finally:
                path.write_text(before)


def check_make(words: list[str]) -> None:
    command = ["make", "-n", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def check_git(words: list[str]) -> None:
    listed = subprocess.run(["git", "--list-cmds=main"], capture_output=True, text=True, check=True)
    assert words[0] in listed.stdout.split()


def check_pip(words: list[str]) -> None:
    """`pip install` of this project, with extras that exist."""
    assert words[0] == "install"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = (re.fullmatch(r"(?:\.|sttreid)(?:\[(.+)\])?", word) for word in words[1:])
    assert extras is not None, words
    assert set((extras[1] or "dev").split(",")) <= project["optional-dependencies"].keys()


def check_python(words: list[str]) -> None:
    """A benchmark's parser reads its options; other modules and scripts exist."""
    if words[0] != "-m":
        assert (ROOT / words[0]).is_file(), words
        return
    name, *rest = words[1:]
    assert name.startswith("bench."), refused(f"python -m {name} is not looked into")
    module = importlib.import_module(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *rest])
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
        with pytest.raises(ParsedError):
            module.main()


class ParsedError(Exception):
    """A command line was read; nothing is run."""


def parse_and_stop(parser: argparse.ArgumentParser, words: list[str] | None = None, _: Any = None) -> None:
    _, unknown = parser.parse_known_args(words)
    assert not unknown
    raise ParsedError


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "dvc": check_dvc,
    "git": check_git,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "sttreid": check_sttreid,
}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("sttreid serch gallery.parquet", "serch"),
        ("sttreid describe mars /sets --shet x.jpg", "--shet"),
        ("sttreid info nothing.pt", "failed"),
        ("dvc exp run --ueue", "parser error"),
        ("dvc exp run -S loss.entropi=0.1", "set-param"),
        ("dvc exp run -S loss.entropy=many", "loss.entropy"),
        ("dvc exp run --queue -S model.heads=4,5", "model.heads"),
        ("dvc exp run -S domains/unreal.yaml:crowd.present=nobody", "present"),
        ("dvc exp run evaluat", "evaluat"),
        ("make repo", "repo"),
        ("git swich main", "swich"),
        ("pip install '.[pipelin]'", "pipelin"),
        ("python -m bench.training --profil paper --batch 3", "--batch"),
        ("python tools/nothing.py", "nothing.py"),
    ],
)
def test_a_wrong_command_is_found(
    line: str, told: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    ((program, *words),) = commands(line)
    with pytest.raises((Exception, SystemExit)) as problem:
        PROGRAMS[program](words)
    assert told in str(problem.value)


def page(folder: Path, text: str) -> Block:
    path = folder / "page.md"
    path.write_text(text)
    (block,) = blocks(path)
    return block


def test_a_block_has_its_language_and_excuse(tmp_path: Path) -> None:
    block = page(tmp_path, "text\n\n  ```python\n  x = 1\n    y\n  ```\n")
    assert (block.line, block.language, block.text, block.excuse) == (3, "python", "x = 1\n  y\n", None)
    assert page(tmp_path, "<!-- not run: needs MARS -->\n```\nls\n```\n").excuse == "needs MARS"
    assert page(tmp_path, "<!-- not run: -->\n```\nls\n```\n").excuse == ""


def test_a_shell_block_is_cut_into_its_commands() -> None:
    text = """
make it WITH='a b'   # and a comment
cd x && export A=$PWD/b
for k in $(seq 3); do A=1 dvc exp run -S "t=[i-$k]" -S o=i-$k; done
one two \\
    three | four
"""
    assert commands(text) == [
        ["make", "it", "WITH=a b"],
        ["cd", "x"],
        ["export", "A=$PWD/b"],
        ["seq", "3"],
        ["dvc", "exp", "run", "-S", "t=[i-$k]", "-S", "o=i-$k"],
        ["one", "two", "three"],
        ["four"],
    ]

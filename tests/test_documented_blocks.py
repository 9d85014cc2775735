"""Every fenced command of README and docs runs, or a mark before its block says why it does not.

Python and the commands of ``sttreid`` that need files alone run here, in a folder with small films, small
data sets and the published model. Those that need the repository run in the playground of test_pipeline.py.
All command lines, marked ones too, are read by the real parser of their program, and what they name is looked
up: targets of the Makefile, stages, parameters with their values, extras, options of benchmarks.
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
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import typer
import yaml
from distributed.cli.dask_scheduler import main as dask_scheduler
from distributed.cli.dask_worker import main as dask_worker
from dvc.cli.parser import get_main_parser
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps, to_hydra_overrides
from torch.distributed.run import get_args_parser

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
from sttreid.simulate import commands as simulator
from tests import sets
from tests.cli.command import run
from tests.documented_blocks import (
    PAGES,
    ROOT,
    SHELL,
    Block,
    Excuse,
    all_blocks,
    blocks,
    commands,
    lines,
    needs_repository,
)
from tests.search.walkers import BODY, Walker, film
from tests.store_fixtures import write_coloured

LINKS = ("bench", "data-store", "profiles", "src")  # of the workplace into the checkout
COPIES = ("domains", "dvc.yaml", "experiments", "models", "params.yaml")  # some commands write there
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
FRAMES = 30
PASSING = 18  # with the others, as many people as a calibration needs
# track -> who walks in both films
WALKERS = {17: Walker(10, 20, 2), 18: Walker(140, 70, -2)} | {
    100 + n: Walker(10 + 22 * (n // 3), 4 + 36 * (n % 3), 1, 5 * (n % 6), 5 * (n % 6) + 3)
    for n in range(PASSING)
}
COLOURS = np.random.default_rng(1).integers(0, 256, (len(WALKERS), 3)).tolist()
PYTHON = all_blocks("python")
SHELLS = all_blocks(*SHELL)
HERE = [block for block in SHELLS if block.runs and not needs_repository(block.runs)]
HARMLESS = {"cd", "export", "head", "mkdir", "rm", "seq", "source"}  # their words mean nothing to us
SLURM = {"scontrol", "srun"}  # which no machine of a test has
ELSEWHERE = ("/sets/", "/videos")  # of the pages: data outside of a checkout
PINNED = {  # instead of the scale of domains/benchmark.yaml
    "identities": 12,
    "distractors": 2,
    "cameras": 2,
    "min_frames": 6,
    "max_frames": 8,
    "width": 384,
    "height": 216,
    "train": 0.34,
    "validation": 0.17,
}


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
    seen = [
        (frame + 1, track, walker.left(frame), walker.top, BODY[1], BODY[0])
        for frame in range(FRAMES)
        for track, walker in WALKERS.items()
        if walker.first <= frame <= walker.last
    ]
    rows = [",".join(map(str, (*box, 1, 1, 1))) for box in seen]
    boxes = [{"frame": frame, "id": track, "bbox": box} for frame, track, *box in seen]
    for name in ("hall", "lobby"):
        write_video(folder / f"{name}.mp4", film(FRAMES, *WALKERS.values(), colours=COLOURS))
        (folder / f"{name}.txt").write_text("\n".join(rows) + "\n")
        (folder / f"{name}.json").write_text(json.dumps(boxes))
    labelled = [f"{name}.mp4,{track},{track}\n" for name in ("hall", "lobby") for track in WALKERS]
    (folder / "labels.csv").write_text("".join(["video,track,identity\n", *labelled]))
    published, model = locate(None, folder), folder / "campus.pt"
    network = load_model(published)
    save(network, read_architecture(published).model, model)
    torch.save(network.state_dict(), folder / "checkpoint.pth")
    for path in (calibration_path(model), folder / "mine.calibration.json"):  # the same weights
        shutil.copy(calibration_path(published), path)
    write_coloured(folder / "artifacts" / "tracklets" / "campus", {"test": range(4)}, *network.image_size)
    write_features(folder)
    write_data_sets(folder)
    return folder


def write_data_sets(folder: Path) -> None:
    """A pinned set with its scale, a domain of the simulator, copies of published sets, and footage."""
    scale = folder / "domains" / "benchmark.yaml"
    scale.write_text(yaml.safe_dump(yaml.safe_load(scale.read_text()) | PINNED))
    shutil.copy(folder / "domains" / "campus.yaml", folder / "my_domain.yaml")
    with chdir(folder):
        simulator.render("campus", Path("data/campus"), benchmark=True, workers=1)
    outside = elsewhere(folder)
    for write, name in ((sets.mars, "MARS"), (sets.ilids, "ilids-vid"), (sets.unreal, "unreal")):
        write(outside / "made").rename(outside / "sets" / name)
    for path in [*(folder / "data" / "campus").glob("*.mp4"), *(folder / "data" / "campus").glob("*.txt")]:
        shutil.copy(path, outside / "videos" / path.name)
    params = folder / "params.yaml"
    entry = "  mars: {reader: mars, root: sets/mars.json}\n"
    params.write_text(re.sub("^datasets:.*\n", rf"\g<0>{entry}", params.read_text(), flags=re.MULTILINE))


def elsewhere(workplace: Path) -> Path:
    """Where the folders of ``ELSEWHERE`` are in the tests."""
    folder = workplace.with_name(f"{workplace.name}-elsewhere")
    for name in ("made", "sets", "videos"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


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


def test_blocks_are_in_a_known_language_and_marks_have_reasons() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    assert len(found) > 40
    assert len(PYTHON) > 4
    assert len(SHELLS) > 20
    for block in found:
        assert block.language in (*SHELL, "json", "python", "text", "yaml"), block
        assert not block.excuses or block.language in SHELL, f"{block}: only commands can be marked"
        for excuse in block.excuses:
            assert excuse.reason, f"{block}: <!-- not run: REASON --> must give a reason"
            for each in excuse.beginnings:
                covered = [line for line in lines(block.text) if Excuse((each,), "").covers(line)]
                assert covered, f"{block}: no line begins with {each!r}"


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


@pytest.mark.parametrize("block", HERE, ids=str)
def test_commands_run(block: Block, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    for words in commands(block.runs):
        run_sttreid(words)


def run_sttreid(words: list[str]) -> None:
    """Run a command of sttreid, on the small data instead of those of the pages."""
    program, *rest = words
    assert program == "sttreid", refused(f"{program} does not run in a test")
    outside = elsewhere(Path.cwd())
    here = [f"{outside}{word}" if word.startswith(ELSEWHERE) else word for word in rest]
    assert run(*here) == 0, refused(f"{' '.join(words)} failed")


@pytest.mark.parametrize("block", SHELLS, ids=str)
def test_commands_parse(block: Block, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syntax = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert syntax.returncode == 0, syntax.stderr
    found = commands(block.text)
    assert found, refused(f"{block}: no command")
    monkeypatch.chdir(workplace)
    for program, *words in found:
        if program not in HARMLESS | SLURM:
            assert program in PROGRAMS, refused(f"{block}: no test knows the program {program}")
            PROGRAMS[program](words)


def check_sttreid(words: list[str]) -> None:
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


def check_dask(words: list[str]) -> None:
    """`dask scheduler` and `dask worker` of distributed."""
    command: Any = {"scheduler": dask_scheduler, "worker": dask_worker}[words[0]]
    command.make_context(words[0], words[1:])


def check_torchrun(words: list[str]) -> None:
    """Its options, and a module of this project with its arguments."""
    options = get_args_parser().parse_args(words)
    assert options.module
    assert importlib.util.find_spec(options.training_script), words


class ParsedError(Exception):
    """A command line was read; nothing is run."""


def parse_and_stop(parser: argparse.ArgumentParser, words: list[str] | None = None, _: Any = None) -> None:
    _, unknown = parser.parse_known_args(words)
    assert not unknown
    raise ParsedError


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "dask": check_dask,
    "dvc": check_dvc,
    "git": check_git,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "sttreid": check_sttreid,
    "torchrun": check_torchrun,
}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("sttreid serch gallery.parquet", "serch"),
        ("sttreid describe mars /sets --shet x.jpg", "--shet"),
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
        ("dask worker --nthreads many", "many"),
        ("torchrun --nproc-per-node=2 -m sttreid.stages.pretrian 0", "pretrian"),
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


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("sttreid info nothing.pt", "info nothing.pt failed"),
        ("sttreid describe mars /sets/unreal", "failed"),
        ("pip install .", "pip does not run"),
    ],
)
def test_a_command_that_fails_is_found(
    line: str, told: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    ((words),) = commands(line)
    with pytest.raises(AssertionError, match=told):
        run_sttreid(words)


@pytest.mark.parametrize("line", ["ls", "dvc status", "cd data && sttreid info a.pt", "sttreid compare HEAD"])
def test_what_needs_more_than_files_runs_in_the_repository(line: str) -> None:
    assert needs_repository(line)
    assert not needs_repository("sttreid info a.pt && pip install .")


def page(folder: Path, text: str) -> Block:
    path = folder / "page.md"
    path.write_text(text)
    (block,) = blocks(path)
    return block


def test_a_block_has_its_language_and_marks(tmp_path: Path) -> None:
    block = page(tmp_path, "text\n\n  ```python\n  x = 1\n    y\n  ```\n")
    assert (block.line, block.language, block.text, block.excuses) == (3, "python", "x = 1\n  y\n", ())
    block = page(tmp_path, "<!-- not run: needs MARS -->\n```\nls\n```\n")
    assert (block.excuses, block.runs) == ((Excuse((), "needs MARS"),), "")
    assert page(tmp_path, "<!-- not run: -->\n```\nls\n```\n").excuses == (Excuse((), ""),)
    assert not page(tmp_path, "<!-- not run: needs MARS -->\n\n```\nls\n```\n").excuses


def test_a_mark_takes_out_the_lines_that_begin_as_it_says(tmp_path: Path) -> None:
    block = page(
        tmp_path,
        "<!-- not run: `make a`, `cd`: for hours -->\n<!-- not run: `ls x`: why: so -->\n"
        "```\nmake a   # all\nmake ab\nls x \\\n  y\nls xy\n# none\n\ncd z && ls\n```\n",
    )
    assert block.excuses == (Excuse(("ls x",), "why: so"), Excuse(("make a", "cd"), "for hours"))
    assert block.runs == "make ab\nls xy\n"


def test_a_shell_block_is_cut_into_its_commands() -> None:
    text = """
make it WITH='a b'   # and a comment
cd x && export A=$PWD/b
for k in $(seq 3); do A=1 dvc exp run -S "t=[i-$k]" -S o=i-$k; done
one two \\
    three | four
"""
    assert lines(text)[-1] == "one two three | four"
    assert commands(text) == [
        ["make", "it", "WITH=a b"],
        ["cd", "x"],
        ["export", "A=$PWD/b"],
        ["seq", "3"],
        ["dvc", "exp", "run", "-S", "t=[i-$k]", "-S", "o=i-$k"],
        ["one", "two", "three"],
        ["four"],
    ]

"""The pipeline through DVC itself, in a playground: what `make playground` makes.

What README and docs do with a repository runs here as well (test_documented_blocks.py has the rest).
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.documented_blocks import SHELL, Block, all_blocks, lines, needs_repository
from tests.store_fixtures import write_coloured
from tests.tiny import ROOT

ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@localhost",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@localhost",
    "DVC_NO_ANALYTICS": "1",
}


COLUMNS = 120  # of a terminal
BASH = ("bash", "-euo", "pipefail", "-c")
MAKE_PLAYGROUND = "make playground"  # a line of the pages, which a fixture runs
PEOPLE = 24  # as many as a calibration needs; a playground has two for validation
INSTEAD = {  # of what the pages write
    "cd playground": "cd ../playground",
    "sttreid watch ": "sttreid watch --once ",  # else Ctrl-C ends it
    "seq 10": "seq 2",
    "REPOSITORY": "$PWD",
    "--tracklets artifacts/tracklets/campus": "--tracklets ../people",
}


def call(folder: Path, *words: str, ok: bool = True) -> str:
    """Run a command with this checkout's code, so that its copies share the simulator's compiled kernels."""
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": str(COLUMNS)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ok:
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def copy_of_the_tree(folder: Path) -> Path:
    """The working tree's files (tracked, or new and not ignored) as a git repository of their own."""
    names = call(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)  # with its mode: scripts stay executable
    call(folder, "git", "init", "-q", "-b", "main")
    call(folder, "git", "add", "-A", "--force", "data-store")
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-q", "-m", "copy")
    return folder


@contextmanager
def first_in_path(folder: str) -> Iterator[None]:
    """Where commands are looked up first."""
    before = ENVIRONMENT["PATH"]
    ENVIRONMENT["PATH"] = f"{folder}{os.pathsep}{before}"
    yield
    ENVIRONMENT["PATH"] = before


@pytest.fixture(scope="module", autouse=True)
def _forks(programs: str) -> Iterator[None]:
    with first_in_path(programs):
        yield


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone with its sample data; nothing has run."""
    folder = copy_of_the_tree(tmp_path_factory.mktemp("clone"))
    call(folder, "dvc", "pull", "-q", "data.dvc")
    return folder


@pytest.fixture(scope="module")
def finished(clone: Path) -> Path:
    """The playground: smaller than the profile smoke, with a run, committed."""
    folder = clone.parent / "playground"
    pretend_installed(clone)
    call(clone, *MAKE_PLAYGROUND.split(), f"PLAYGROUND={folder}")
    assert not call(folder, "git", "status", "--porcelain")
    pretend_installed(folder)
    return folder


def pretend_installed(folder: Path) -> None:
    """The programs of the tests in place of those that `make install` puts into .venv."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("bin/activate", ".installed"):
        (folder / ".venv" / name).touch()


def test_a_fork_has_the_streams_and_the_status_of_a_process(tmp_path: Path) -> None:
    assert call(tmp_path, "python", "-m", "sttreid", "--version") == call(
        tmp_path, sys.executable, "-m", "sttreid", "--version"
    )
    output = call(tmp_path, "python", "-m", "sttreid.stages.resolve", ok=False)
    assert output.startswith("error: params.yaml: ")
    with pytest.raises(AssertionError, match=r"import sys; sys\.exit\(3\)"):
        call(tmp_path, "python", "-c", "import sys; sys.exit(3)")


def ran(output: str) -> list[str]:
    """The stages that a DVC command ran."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def restored(output: str) -> list[str]:
    """The stages whose outputs a DVC command took from its run cache."""
    return [line.split("'")[1] for line in output.splitlines() if "is cached - skipping run" in line]


def test_stage_instances_are_the_expected_ones() -> None:
    names = call(ROOT, "dvc", "stage", "list", "--name-only").split()
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    expected = {"simulate", "compare", "cross_domain", "resolve", "visualise", "report", "claims"}
    expected |= {f"decode@{name}" for name in params["datasets"]}
    for seed in params["seeds"]:
        expected |= {f"pretrain@{seed}", f"evaluate@cross_domain-{seed}", f"evaluate@ablation-{seed}"}
        expected |= {f"finetune@{name}-{seed}" for name in params["targets"]}
        expected |= {f"ablate@{name}-{seed}" for name in params["ablation"]["variants"]}
    assert set(names) == expected


def test_lock_and_metrics_belong_to_code_params_and_data(clone: Path) -> None:
    """In a clone without any artifact `dvc repro` has nothing to run."""
    if not (ROOT / "dvc.lock").exists():
        pytest.fail("dvc.lock is missing: run `dvc repro` and commit it")
    output = call(clone, "dvc", "repro", "--allow-missing", "--dry")
    assert not ran(output), output


def test_a_clone_that_pulled_the_data_alone_trains_everything(clone: Path) -> None:
    """What `make repro` does on a new machine, even if the remote holds the models."""
    stages = json.loads(call(clone, "dvc", "status", "--json"))
    assert {"simulate", "pretrain@0", "finetune@campus-0", "ablate@cnn-0"} <= set(stages)
    cache = clone / ".dvc" / "cache"
    assert not (cache / "runs").exists()
    for stage in yaml.safe_load((clone / "dvc.lock").read_text())["stages"].values():
        for out in stage["outs"]:
            assert not (cache / "files" / "md5" / out["md5"][:2] / out["md5"][2:]).exists(), out["path"]


def test_the_committed_metrics_are_those_of_the_lock() -> None:
    lock, checked = ROOT / "dvc.lock", 0
    outs = [out for stage in yaml.safe_load(lock.read_text())["stages"].values() for out in stage["outs"]]
    for out in outs:
        path = (lock.parent / out["path"]).resolve()
        if not path.is_relative_to(ROOT / "metrics") or path.parent.name == "report":  # cached, not in git
            continue
        assert path.exists(), f"{path} is in {lock} but not in the tree"
        if path.is_file():
            assert hashlib.md5(path.read_bytes()).hexdigest() == out["md5"], path
            checked += 1
    assert checked > 10


def test_the_pinned_data_are_whole(clone: Path) -> None:
    for target in yaml.safe_load((clone / "params.yaml").read_text())["targets"]:
        manifest = json.loads((clone / "data" / target / "manifest.json").read_text())
        splits = {name: set(ids) for name, ids in manifest["splits"].items()}
        assert sum(map(len, splits.values())) == len(set().union(*splits.values())) >= 60
        for name, camera in manifest["cameras"].items():
            video = clone / "data" / target / f"{name}.mp4"
            assert hashlib.sha256(video.read_bytes()).hexdigest() == camera["sha256_video"]


def test_a_finished_pipeline_runs_nothing(finished: Path) -> None:
    assert not ran(call(finished, "dvc", "repro"))
    assert "up to date" in call(finished, "dvc", "status")  # of the whole repository, with its studies


def test_every_variant_of_the_ablation_is_in_the_metrics(finished: Path) -> None:
    names = json.loads((finished / "metrics" / "ablation.json").read_text())
    assert {"vanilla", "constrained", "full", "cnn"} <= set(names)


def test_the_metrics_fit_a_terminal(finished: Path) -> None:
    assert max(map(len, call(finished, "dvc", "metrics", "show").splitlines())) <= COLUMNS
    shown = json.loads(call(finished, "dvc", "metrics", "show", "--json"))[""]["data"]
    assert len(shown["metrics/summary.json"]["data"]) <= 8


CHANGES_NO_WEIGHT = (
    "src/sttreid/retrieval/metrics.py",
    "src/sttreid/report/render.py",
    "src/sttreid/analysis/uncertainty.py",
    "src/sttreid/runtime/progress.py",
    "src/sttreid/runtime/checkpoints.py",
    "src/sttreid/config/params.py",
    "docs/findings.md",
)


def test_code_that_changes_no_weight_leaves_training_up_to_date(finished: Path) -> None:
    for path in CHANGES_NO_WEIGHT:
        with (finished / path).open("a") as file:
            file.write("\nADDED = 1\n")
    stages = ran(call(finished, "dvc", "repro", "--dry", "--allow-missing"))
    assert not [name for name in stages if name.startswith(("simulate", "pretrain", "finetune", "ablate"))]
    assert {"resolve", "evaluate@cross_domain-0", "evaluate@ablation-0", "claims", "report"} <= set(stages)
    restore(finished)


def test_code_that_trains_makes_training_out_of_date(finished: Path) -> None:
    with (finished / "src/sttreid/training/losses.py").open("a") as file:
        file.write("\nADDED = 1\n")
    stages = ran(call(finished, "dvc", "repro", "--dry", "--allow-missing"))
    assert {"pretrain@0", "ablate@cnn-0"} <= set(stages)
    restore(finished)


# a few steps at the usual rate move no query of so small a run: the rate makes the change visible
CHANGED = ("-S", "loss.entropy=0.1", "-S", "finetune.lr=0.05", "-S", "finetune.backbone_lr=0.05")
EXPERIMENT = ("dvc", "exp", "run", *CHANGED, "cross_domain")
TRAINED = {"pretrain@0", "finetune@campus-0", "finetune@winter-0"}


def test_a_targeted_experiment_runs_no_ablation_and_ends_in_a_metric(finished: Path) -> None:
    stages = ran(call(finished, *EXPERIMENT))
    assert TRAINED | {"resolve", "evaluate@cross_domain-0", "cross_domain"} == set(stages)
    changed = json.loads(call(finished, "dvc", "metrics", "diff", "--json"))
    assert {name.partition("_")[0] for name in changed["metrics/summary.json"]} <= {"rank1", "mAP"}, changed
    assert max(map(len, call(finished, "dvc", "metrics", "diff").splitlines())) <= COLUMNS
    assert "loss.entropy" in call(finished, "dvc", "params", "diff", "--json")
    assert call(finished, "git", "diff", "--numstat", "params.yaml").split()[:2] == ["3", "3"]
    table = call(finished, "dvc", "exp", "show", "--only-changed", "--no-pager")
    assert "mAP_in" in table.split()  # DVC cuts what is too wide
    assert max(map(len, table.splitlines())) <= COLUMNS

    variants = json.loads((finished / "metrics" / "ablation.json").read_text())
    assert {name for name in ("vanilla", "constrained", "cnn", "full") if name in variants} == {
        "vanilla",
        "cnn",
    }
    output = call(finished, "dvc", "plots", "diff", "-o", "plots_page", "--json", "HEAD")
    drawn = json.JSONDecoder().raw_decode(output)[0]["data"]  # warnings about missing curves follow
    bars = drawn["Ablation"][0]["content"]["data"]["values"]
    by_revision = {(bar["rev"], bar["variant"]) for bar in bars}
    assert {name for rev, name in by_revision if rev == "workspace"} == {"vanilla", "cnn"}
    assert {name for rev, name in by_revision if rev == "HEAD"} == {"vanilla", "cnn", "constrained", "full"}
    curves = drawn["Training loss"][0]["content"]["data"]["values"]
    by_revision = {(point["rev"], point["filename"]) for point in curves}
    trained = {f"training/{name}-0.tsv" for name in ("unreal", "campus", "winter")}
    kept = {f"ablation_training/{name}-0.tsv" for name in ("vanilla", "cnn")}
    assert {name for rev, name in by_revision if rev == "workspace"} == trained | kept
    assert {name for rev, name in by_revision if rev == "HEAD"} > trained | kept

    left = set(ran(call(finished, "dvc", "repro", "--dry")))  # what a full experiment would run now
    assert {"ablate@constrained-0", "claims", "report"} <= left
    assert not [name for name in left if name.startswith(("simulate", "decode", "pretrain", "finetune"))]
    assert not {"ablate@vanilla-0", "ablate@cnn-0"} & left
    restore(finished)
    assert not call(finished, "git", "status", "--porcelain", "metrics")


def test_a_mistake_that_concerns_a_later_stage_stops_the_first_one(finished: Path) -> None:
    words = ("-S", "pretrain.lr=0.003", "-S", "ablation.source=camus")
    output = call(finished, "dvc", "exp", "run", *words, "cross_domain", ok=False)
    assert "failed to reproduce" in output
    assert "ablation.source must be one of campus, winter, got 'camus'" in output
    assert len(ran(output)) == 1, output
    restore(finished)


def test_an_unknown_key_of_an_experiment_is_refused(finished: Path) -> None:
    output = call(finished, "dvc", "exp", "run", "-S", "loss.entropi=0.1", "cross_domain", ok=False)
    assert "entropi" in output
    restore(finished)


def test_bad_data_leave_the_metrics_and_the_last_good_store(finished: Path) -> None:
    tracks = finished / "data" / "campus" / "c1.txt"
    lines = tracks.read_text().splitlines()
    lines[4] = "5,one,2"
    tracks.write_text("\n".join(lines) + "\n")
    manifest = finished / "data" / "campus" / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["cameras"]["c1"]["sha256_tracks"]  # a checksum is for pinned data, own footage needs none
    manifest.write_text(json.dumps(content))
    output = call(finished, "dvc", "repro", ok=False)
    assert "c1.txt:5: " in output, output
    assert (finished / "metrics" / "report.md").exists()
    assert (finished / "artifacts" / "tracklets" / "campus" / "frames.npy").exists()
    restore(finished)
    assert not ran(call(finished, "dvc", "repro"))


def test_a_clone_pulls_the_run_and_trains_nothing(finished: Path, tmp_path: Path) -> None:
    """The remote lies inside the repository; videos and tracklets are made anew, with the same bytes."""
    folder = tmp_path / "fresh"
    call(finished, "git", "clone", "-q", "--no-local", str(finished), str(folder))
    call(folder, "dvc", "pull", "-q")
    assert (folder / "metrics" / "report" / "index.html").stat().st_size > 10_000
    call(folder, "python", "tools/site.py", "site")
    assert {path.name for path in (folder / "site").glob("*.html")} == {
        "index.html",
        "report.html",
        "claims.html",
    }
    output = call(folder, "dvc", "repro")
    assert set(ran(output)) == {"simulate", "decode@unreal", "decode@campus", "decode@winter"}
    assert not call(folder, "git", "status", "--porcelain")
    output = call(folder, "dvc", "exp", "run", "-S", "evaluate.flip=false", "cross_domain")
    assert {"evaluate@cross_domain-0", "cross_domain"} <= set(ran(output))
    assert not [name for name in ran(output) if name.startswith(("pretrain", "finetune", "ablate"))]


def test_the_remote_loses_the_run_alone_and_stays_as_it_is_if_an_object_is_missing(finished: Path) -> None:
    objects, cache = finished / "data-store/files/md5", finished / ".dvc/cache/files/md5"

    def names() -> set[Path]:
        return {path.relative_to(objects) for path in objects.rglob("*") if path.is_file()}

    def name(md5: str) -> Path:
        return Path(md5[:2], md5[2:])

    pinned = name(yaml.safe_load((finished / "data.dvc").read_text())["outs"][0]["md5"])
    files = {name(entry["md5"]) for entry in json.loads((objects / pinned).read_text())}
    outs = yaml.safe_load((finished / "dvc.lock").read_text())["stages"]["pretrain@0"]["outs"]
    before, run = names(), {name(out["md5"]) for out in outs}
    assert {pinned, *files, *run} <= before

    lost = min(files)
    content = (objects / lost).read_bytes()
    (objects / lost).unlink()
    (cache / lost).unlink()
    call(finished, "tools/data_store.sh", "pinned", ok=False)
    assert names() == before - {lost}

    (objects / lost).write_bytes(content)
    call(finished, "tools/data_store.sh", "pinned")
    assert {pinned, *files} <= names() < before
    assert not run & names()
    restore(finished)


DOCUMENTED = [block for block in all_blocks(*SHELL) if needs_repository(block.runs)]
DOCUMENTED.sort(key=lambda block: "compare lr-1" in block.runs)  # after the block that makes lr-1


@pytest.mark.parametrize("block", DOCUMENTED, ids=str)
def test_documented_commands_run(block: Block, documented: Path) -> None:
    """As bash runs them: the first command that fails ends a block."""
    script = "".join(f"{line}\n" for line in lines(block.runs) if not line.startswith(MAKE_PLAYGROUND))
    for written, run in INSTEAD.items():
        script = script.replace(written, run)
    commit = call(documented, "git", "rev-parse", "HEAD").strip()
    try:
        output = call(documented, *BASH, script)
        for part, check in FURTHER.items():
            if part in script:
                check(output, documented)
    finally:
        take_back(documented, commit, queued="--queue" in script)


def make_repro_says_that_there_is_nothing_to_do(output: str, _: Path) -> None:
    table = output.partition("Everything is up to date.\n")[2]
    assert table.strip(), output  # the run beside the published seeds


def what_ran_once_comes_from_the_run_cache(output: str, _: Path) -> None:
    assert set(restored(output)) == TRAINED | {"resolve", "evaluate@cross_domain-0"}
    assert ran(output) == ["cross_domain"]  # its outputs are in git


def experiments_have_been_queued(_: str, folder: Path) -> None:
    status = call(folder, "dvc", "queue", "status")
    assert status.count("Success") == 2, status
    logs = call(folder, "dvc", "queue", "logs", "lr-2")
    assert set(ran(logs)) == TRAINED - {"pretrain@0"} | {"resolve", "evaluate@cross_domain-0", "cross_domain"}
    call(folder, "dvc", "queue", "stop", "--kill")


FURTHER = {  # part of a block -> what is true after it
    "make repro  ": make_repro_says_that_there_is_nothing_to_do,
    "-n entropy -S loss.entropy=0.1 cross_domain": what_ran_once_comes_from_the_run_cache,
    "--run-all": experiments_have_been_queued,
}


def test_the_blocks_with_further_checks_are_there() -> None:
    for part in FURTHER:
        assert [block for block in DOCUMENTED if part in block.runs], part


def test_a_block_ends_at_the_first_command_that_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="sttreid info nothing"):
        call(tmp_path, *BASH, "sttreid info nothing.pt\ntouch reached\n")
    with pytest.raises(AssertionError):
        call(tmp_path, *BASH, "false | true\ntouch reached\n")
    assert not (tmp_path / "reached").exists()


@pytest.fixture(scope="module")
def documented(finished: Path) -> Path:
    """The playground with the tag of the published model, beside a store of more people."""
    call(finished, "git", "tag", "-a", "stt-v1@v1.0.0", "-m", "stt-v1")
    crops = yaml.safe_load((finished / "params.yaml").read_text())["decode"]
    people = {"validation": range(PEOPLE)}
    write_coloured(finished.parent / "people", people, crops["height"], crops["width"])
    return finished


def take_back(folder: Path, commit: str, queued: bool) -> None:
    """The committed state before a block; the experiments that it ran stay."""
    if queued:
        call(folder, "dvc", "queue", "remove", "--all")
    head = call(folder, "git", "rev-parse", "HEAD").strip()
    if (call(folder, "git", "status", "--porcelain", "--branch"), head) == ("## main\n", commit):
        return
    call(folder, "git", "switch", "-q", "--force", "main")
    call(folder, "git", "reset", "-q", "--hard", commit)
    call(folder, "git", "clean", "-fdq")
    restore(folder)


def restore(folder: Path) -> None:
    """Back to the committed state."""
    call(folder, "git", "reset", "-q", "--hard")
    call(folder, "dvc", "checkout", "-q", "--force", "dvc.yaml", "data.dvc")  # studies have not run

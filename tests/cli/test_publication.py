"""``sttreid publish`` in a real, tiny DVC repository, and what a clone without network gets from it."""

import hashlib
import json
import subprocess
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.artifacts import Artifacts

import sttreid
from sttreid.catalogue import shelf
from sttreid.catalogue.card import Card
from sttreid.cli import publication
from sttreid.cli.publication import publish
from sttreid.model.weights import restore, save
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_json, write_table, write_text
from tests.analysis.contents import TARGETS, cross_domain_content, cross_domain_queries, numbers
from tests.sections import MODEL, small_network

FOLDER = "artifacts/models/cross_domain/0"
MODEL_PATH = f"{FOLDER}/campus.pt"
RESULTS = [f"artifacts/results/cross_domain/0.{suffix}" for suffix in ("json", "parquet")]
COMMENTED = "# A comment that stays.\nstages: {}  # none\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def out(root: Path, path: str) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": md5(root / path)}


def write_lock(root: Path) -> None:
    """The lock of a run that pre-trained on unreal and fine-tuned on campus."""

    def stage(deps: list[dict[str, Any]], outs: list[str], **params: Any) -> dict[str, Any]:
        made = [out(root, path) for path in outs]
        return {"cmd": "true", "deps": deps, "params": {"params.yaml": params}, "outs": made}

    def store(name: str) -> dict[str, Any]:
        return {"path": f"artifacts/tracklets/{name}", "hash": "md5", "md5": f"{name}.dir"}

    pretrained = f"{FOLDER}/unreal.pt"
    stages = {
        "finetune@campus-0": stage(
            [out(root, pretrained), store("campus")], [MODEL_PATH], finetune={"steps": 2}
        ),
        "pretrain@0": stage([store("unreal")], [pretrained], pretrain={"steps": 3}),
        "evaluate@cross_domain-0": stage([store("winter")], RESULTS),
    }
    write_text(root / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout after a run, committed."""
    root = tmp_path / "checkout"
    for name in ("src/sttreid", "bench", "experiments"):
        write_text(root / name / "file", "")
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "test")
    git(root, "config", "user.email", "test@localhost")
    Repo.init(str(root)).close()
    write_text(
        root / ".dvc/config", "[core]\n    remote = sample\n['remote \"sample\"']\n    url = ../data-store\n"
    )
    write_text(root / ".gitignore", "/artifacts/\n/data-store/\n")
    write_text(root / "dvc.yaml", COMMENTED)
    write_text(root / "params.yaml", "seeds: [0]\n")
    for seed, name in enumerate(("unreal", "campus")):
        save(small_network(seed), MODEL, root / FOLDER / f"{name}.pt")
    content = cross_domain_content(0)
    write_json(root / RESULTS[0], content)
    write_table(root / RESULTS[1], cross_domain_queries([content]))
    write_lock(root)
    commit(root)
    return root


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "run")


def test_a_published_model_is_complete_in_a_clone_without_network(root: Path, tmp_path: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    card = publish(root, "tiny-v1", MODEL_PATH, "For tests")
    target = root / "models/tiny-v1.safetensors"
    assert card == Card.read(root / "models/tiny-v1.json")
    content = target.read_bytes()
    assert (card.weights.sha256, card.weights.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    training = card.training
    assert (training.commit, training.lock, training.md5) == (
        head,
        md5(root / "dvc.lock"),
        md5(root / MODEL_PATH),
    )
    assert [(each.name, each.md5) for each in training.sets] == [
        ("unreal", "unreal.dir"),
        ("campus", "campus.dir"),
    ]
    assert list(training.params) == ["pretrain@0", "finetune@campus-0"]
    assert training.params["finetune@campus-0"] == {"finetune": {"steps": 2}}
    scores = {(score.dataset, score.metric): score for score in card.scores}
    for target_name in TARGETS:
        expected = numbers(0.5 if target_name == "campus" else 0.3, target_name)
        for metric in ("rank1", "mAP"):
            score = scores[target_name, metric]
            assert score.value == pytest.approx(expected[metric], abs=1e-4)
            assert score.low <= score.value <= score.high
            assert (score.queries, score.seen) == (expected["queries"], target_name == "campus")
        assert scores[target_name, "rank1"].low < scores[target_name, "rank1"].high
    listed = yaml.safe_load((root / "dvc.yaml").read_text())["artifacts"]["tiny-v1"]
    assert (listed["path"], listed["type"], listed["desc"]) == (
        "models/tiny-v1.safetensors",
        "model",
        "For tests",
    )
    assert listed["labels"]
    assert (root / "dvc.yaml").read_text().startswith(COMMENTED)

    git(root, "add", "-f", "data-store")
    git(root, "add", "models", "dvc.yaml")
    assert "models/tiny-v1.safetensors" not in git(root, "ls-files").splitlines()
    commit(root)
    git(root, "tag", "-a", "tiny-v1@v1.0.0", "-m", "tiny-v1")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(root), str(clone))
    Repo.get(str(clone), "models/tiny-v1.safetensors", out=str(tmp_path / "got.safetensors"))
    Artifacts.get(str(clone), "tiny-v1", out=str(tmp_path / "artifact.safetensors"))
    for name in ("got", "artifact"):
        assert (tmp_path / f"{name}.safetensors").read_bytes() == content
    with chdir(clone):
        loaded = sttreid.load_model()
    expected_state = restore(root / MODEL_PATH).state_dict()
    assert all(torch.equal(value, expected_state[name]) for name, value in loaded.state_dict().items())


def files(root: Path) -> dict[str, bytes]:
    kept = [path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {str(path): path.read_bytes() for path in kept if ".dvc" not in path.parts}


def test_a_name_is_used_once(root: Path) -> None:
    write_text(root / "models/tiny-v1.json", "{}")
    with pytest.raises(InputError, match="tiny-v1 is published and never changes"):
        publish(root, "tiny-v1", MODEL_PATH, "For tests")
    assert (root / "models/tiny-v1.json").read_text() == "{}"


def test_a_name_in_dvc_yaml_is_taken(root: Path) -> None:
    artifacts = {"tiny-v1": {"path": "models/tiny-v1.safetensors", "type": "model"}}
    write_text(root / "dvc.yaml", yaml.safe_dump({"artifacts": artifacts}))
    with pytest.raises(InputError, match="tiny-v1 is published"):
        publish(root, "tiny-v1", MODEL_PATH, "For tests")


def test_a_retrained_model_is_listed_after_the_first(root: Path) -> None:
    publish(root, "tiny-v1", MODEL_PATH, "For tests: the first")
    first = files(root)
    publish(root, "tiny-v2", MODEL_PATH, "For tests: the second")
    assert list(shelf.published(root)) == ["tiny-v1", "tiny-v2"]
    after = files(root)
    changed = {str(root / name) for name in ("dvc.yaml", "models/.gitignore")}
    assert all(after[path] == content for path, content in first.items() if path not in changed)


def test_artifacts_must_be_the_last_section(root: Path) -> None:
    write_text(root / "dvc.yaml", "artifacts:\n  table: {path: table.csv}\nstages: {}\n")
    before = files(root)
    with pytest.raises(InputError, match=r"dvc\.yaml: artifacts must be the last section, got stages"):
        publish(root, "tiny-v1", MODEL_PATH, "For tests")
    assert files(root) == before


def test_a_remote_that_fails_leaves_every_file_as_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DvcException("no remote")

    publish(root, "tiny-v1", MODEL_PATH, "For tests: models/.gitignore is there")
    before = files(root)
    monkeypatch.setattr(publication.Repo, "push", fail)
    with pytest.raises(InputError, match="no remote"):
        publish(root, "tiny-v2", MODEL_PATH, "For tests")
    assert files(root) == before


def test_stages_without_outputs_do_not_matter(root: Path) -> None:
    lock = yaml.safe_load((root / "dvc.lock").read_text())
    lock["stages"] = {"notice": {"cmd": "true"}, **lock["stages"]}
    write_text(root / "dvc.lock", yaml.safe_dump(lock, sort_keys=False))
    subprocess.run(["git", "commit", "-qam", "notice"], cwd=root, check=True)
    publish(root, "tiny-v1", MODEL_PATH, "For tests")


def changed_model(root: Path) -> None:
    save(small_network(5), MODEL, root / MODEL_PATH)


def changed_results(root: Path) -> None:
    write_json(root / RESULTS[0], json.loads((root / RESULTS[0]).read_text()) | {"seed": 7})


def changed_code(root: Path) -> None:
    write_text(root / "src/sttreid/file", "changed")


REFUSED = {
    "model": (changed_model, r"campus\.pt: must have the MD5 of dvc\.lock"),
    "results": (changed_results, r"0\.json: must have the MD5"),
    "code": (changed_code, r"must be committed, got .*src/sttreid/file"),
    "gone": (lambda root: (root / MODEL_PATH).unlink(), r"campus\.pt: cannot be read"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_differs_from_the_lock_gets_no_card(root: Path, what: str) -> None:
    change, message = REFUSED[what]
    change(root)
    before = files(root)
    with pytest.raises(InputError, match=message):
        publish(root, "tiny-v1", MODEL_PATH, "For tests")
    assert files(root) == before


def test_names_models_and_sizes_that_break_the_rules_are_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(root)
    for name in ("tiny", "tiny-v0", "Tiny-v1", "../tiny-v1"):
        with pytest.raises(InputError, match="version"):
            publish(root, name, MODEL_PATH, "For tests")
    with pytest.raises(InputError, match=rf"dvc\.lock: must list {FOLDER}/other\.pt"):
        publish(root, "tiny-v1", f"{FOLDER}/other.pt", "For tests")
    with pytest.raises(InputError, match=f"below artifacts/models/, got '{RESULTS[0]}'"):
        publish(root, "tiny-v1", RESULTS[0], "For tests")
    monkeypatch.setattr(publication, "LARGEST", 100)
    with pytest.raises(InputError, match="at most 100 bytes"):
        publish(root, "tiny-v1", MODEL_PATH, "For tests")
    assert files(root) == before

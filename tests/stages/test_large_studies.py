"""Stages of studies with sets and a start of their own, by their real main, tiny."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sttreid.config import paths
from sttreid.model.weights import restore
from sttreid.tracklets.store import open_store
from tests.stages.test_stages import call
from tests.tiny import parameters

STILL = 1e-12  # a learning rate that changes no weight visibly
SCHEDULE = {
    "steps": 2, "identities": None, "lr": 0.01, "backbone_lr": 0.01, "warmup": 0, "weight_decay": 0.0,
    "max_grad_norm": 5.0, "eval_every": 2,
}  # fmt: skip


def start() -> dict[str, Any]:
    """Sections of a study that renders its sets and trains a backbone on one of them."""
    content = parameters({})
    names = ("unreal", "campus", "street", "campus-large")
    content["datasets"] = {name: {"reader": "cameras", "root": f"artifacts/videos/{name}"} for name in names}
    content["rendered"] = {
        "unreal": {"domain": "unreal"},
        "campus": {"domain": "campus"},
        "street": {"domain": "street"},
        "campus-large": {"domain": "campus", "first_identity": 13, "identities": 14},
    }
    content["start"] = {
        "dataset": "street", "batch": {"identities": 4, "clips": 2}, "schedule": dict(SCHEDULE)
    }  # fmt: skip
    content["targets"] = ["campus"]
    content["model"]["backbone"]["weights"] = "artifacts/backbones/{seed}/backbone.pt"
    still = {"lr": STILL, "backbone_lr": STILL}
    content["ablation"] |= {
        "source": "campus-large",
        "in_domain": "campus",
        "reference": None,
        "variants": {"cnn": {"model": {"stt": False, "gt": False}, "pretrain": None, "finetune": still}},
    }
    content["study"] = {"analysis": "claims", "variants": ["cnn"], "trials": {}}
    return content


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered and decoded sets."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "params.yaml").write_text(yaml.safe_dump(start()))
    (folder / "domains").symlink_to(Path(__file__).parents[2] / "domains")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in start()["rendered"]:
            call("render", name)
            call("decode", name)
        call("sets")
    return folder


def test_a_set_has_the_cameras_of_the_pinned_one_and_other_people(workplace: Path) -> None:
    manifests = {
        name: json.loads((workplace / "artifacts" / "videos" / name / "manifest.json").read_text())
        for name in ("campus", "campus-large")
    }
    people = {
        name: {identity for split in content["splits"].values() for identity in split}
        for name, content in manifests.items()
    }
    assert min(people["campus-large"]) == 13
    assert not people["campus"] & people["campus-large"]
    assert manifests["campus"]["cameras"].keys() == manifests["campus-large"]["cameras"].keys()


def test_the_record_of_the_sets_counts_what_the_stores_hold(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    record = json.loads((paths.publication() / "sets.json").read_text())
    assert set(record) == set(start()["datasets"])
    for name, content in record.items():
        store = open_store(paths.tracklets(name))
        assert content["frames"] == len(store.frames)
        for split, counts in content["splits"].items():
            rows = store.of_split(split)
            assert counts == {"identities": rows["identity"].nunique(), "tracklets": len(rows)}
        assert all(len(checksum) == 64 for checksum in content["sha256"].values())


def test_a_variant_starts_from_the_backbone_of_its_seed(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    for seed in ("0", "1"):
        call("pretrain_backbone", seed)
    Path("params.yaml").write_text(yaml.safe_dump(start() | {"seeds": [0, 1]}))
    call("resolve")
    states = {}
    for seed in (0, 1):
        call("ablate", "cnn", str(seed))
        states[seed] = restore(paths.model("ablation", seed, "cnn")).backbone.state_dict()
        started = restore(paths.backbone(seed)).backbone.state_dict()
        for name, value in started.items():
            if name.endswith("weight"):
                assert torch.allclose(value, states[seed][name], atol=1e-6), name
    assert not torch.allclose(states[0]["conv1.weight"], states[1]["conv1.weight"], atol=1e-3)
    classes = open_store(paths.tracklets("street")).of_split("train")["identity"].nunique()
    assert restore(paths.backbone(0)).classes == classes


@pytest.mark.parametrize(
    ("section", "key", "value", "sentence"),
    [
        ("start", "dataset", "campus", r"start\.dataset must be one of street"),
        ("start", "dataset", "unreal", r"start\.dataset must be one of street"),
        ("ablation", "in_domain", "street", r"ablation\.in_domain must be one of campus"),
        ("ablation", "in_domain", None, r"ablation\.source must be one of campus"),
        (
            "rendered",
            "street",
            {"domain": "street", "identity": 3},
            r"rendered\.street: unknown key identity",
        ),
        ("rendered", "street", {"domain": "street", "identities": 2}, r"rendered\.street: identities"),
    ],
)
def test_a_wrong_section_stops_the_first_stage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    section: str, key: str, value: object, sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    content = start()
    content[section][key] = value
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit, match=sentence):
        call("resolve")


def test_a_set_that_is_not_listed_is_not_rendered(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    with pytest.raises(SystemExit, match=r"rendered must have the set streets, .*did you mean 'street'"):
        call("render", "streets")

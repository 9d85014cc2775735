"""The three steps of docs/datasets.md on tiny copies of MARS, DukeMTMC-VideoReID, LS-VID and UnrealPerson."""

import importlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from sttreid.config import paths
from sttreid.data.index import index
from sttreid.stages.command import run
from sttreid.tracklets.store import Store, open_store
from tests import sets
from tests.tiny import CLAIMS, ROOT, parameters

SEED = "0"
TARGETS = ("mars", "duke", "ls_vid")
PROTOCOLS = {"mars": "mars-official", "duke": "duke-official", "ls_vid": "lsvid-official"}
VARIANTS = ("vanilla", "cnn")
ORDER = [
    *(("decode", name) for name in ("unreal", *TARGETS)),
    ("compare",),
    ("pretrain", SEED),
    *(("finetune", name, SEED) for name in TARGETS),
    ("resolve",),
    *(("ablate", variant, SEED) for variant in VARIANTS),
    ("evaluate", "cross_domain", SEED),
    ("evaluate", "ablation", SEED),
    ("cross_domain",),
    ("visualise",),
    ("claims",),
    ("report",),
]
DUKE = [*sets.DUKE, ("train", 31, 1, 1, "X", [(1, 5), (2, 17)]), ("train", 31, 2, 3, "X", [(1, 4)])]
UNREAL = [(1, 1, person, camera, [1, 3, 5]) for person in (1, 2, 3, 40) for camera in (1, 2)]
# of each set's test: queries, gallery tracklets without distractors, distractors, junk
COUNTS = {"mars": (4, 8, 2, 2), "duke": (2, 5, 1, 0), "ls_vid": (3, 6, 0, 0)}


def call(stage: str, *words: str) -> None:
    run(importlib.import_module(f"sttreid.stages.{stage}").main, list(words))


def paint(root: Path) -> None:
    """Give every identity colours of its own, so that a colour histogram finds it."""
    for path in root.rglob("*.jpg"):
        rng = np.random.default_rng(list(path.name[:4].encode()))
        stripes = rng.integers(0, 256, (6, 1, 3), np.uint8).repeat(6, 0).repeat(16, 1)
        Image.fromarray(stripes).save(path, quality=95)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after all stages; the data sets lie outside of it."""
    folder, outside = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("real sets")
    roots = {
        "mars": sets.mars(outside),
        "duke": sets.duke(outside, plan=DUKE),
        "ls_vid": sets.ls_vid(outside),
        "unreal": sets.unreal(outside, UNREAL),
    }
    schedules = ("pretrain", "finetune", "ablation.scratch")
    steps = {f"{schedule}.{key}": 1 for schedule in schedules for key in ("steps", "warmup", "eval_every")}
    content = parameters(steps | {"batch.identities": 2, "visualise.variants": ["vanilla", "full"]})
    content["ablation"]["variants"] = {name: content["ablation"]["variants"][name] for name in VARIANTS}
    # step 1: name them
    content["datasets"] = {
        "unreal": {"reader": "unreal_person", "root": "sets/unreal.json", "max_frame_gap": 10},
        "mars": {"reader": "mars", "root": "sets/mars.json"},
        "duke": {"reader": "duke_video", "root": "sets/duke.json"},
        "ls_vid": {"reader": "ls_vid", "root": "sets/ls_vid.json"},
    }
    content["targets"], content["ablation"]["source"] = list(TARGETS), "mars"
    content["claims"] = CLAIMS
    shutil.copytree(ROOT / "domains", folder / "domains")
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, root in roots.items():
            paint(root)
            index(name, root)  # step 2: write their manifests
        for words in ORDER:  # step 3: dvc repro
            call(*words)
    return folder


def store(finished: Path, name: str) -> Store:
    return open_store(finished / paths.tracklets(name))


def test_every_set_becomes_a_store_that_trains_and_validates(finished: Path) -> None:
    for name in ("unreal", *TARGETS):
        output = store(finished, name)
        assert output.frames.shape[1:] == (64, 32, 3)
        train, validation = (set(output.of_split(split)["identity"]) for split in ("train", "validation"))
        assert len(train) >= 2
        assert len(validation) >= 1
        assert not train & validation


@pytest.mark.parametrize("target", TARGETS)
def test_roles_reach_the_numbers(finished: Path, target: str) -> None:
    metrics = json.loads((finished / "metrics/cross_domain.json").read_text())
    assert metrics["protocol"] == PROTOCOLS
    assert json.loads((finished / "metrics/ablation.json").read_text())["protocol"] == PROTOCOLS
    expected = dict(zip(("queries", "gallery", "distractors", "junk"), COUNTS[target], strict=True))
    assert {key: metrics[key][target] for key in expected} == expected
    requested = pd.read_parquet(finished / paths.queries("cross_domain", 0))
    requested = requested[(requested["target"] == target) & (requested["source"] == "histogram")]
    tracklets = store(finished, target).tracklets.set_index("tracklet")
    assert tracklets.loc[requested["query"], "query"].all()
    matches = requested["best_match"][requested["best_match"] >= 0]
    assert tracklets.loc[matches, "gallery"].all()
    assert (requested["first_hit"][requested["best_match"] >= 0] == 1).all()  # the painted colours identify
    assert len(matches) >= 2


def test_the_report_names_the_protocols(finished: Path) -> None:
    report = (finished / "metrics/report.md").read_text()
    page = (finished / "metrics/report/index.html").read_text()
    for protocol in PROTOCOLS.values():
        assert protocol in report
        assert protocol in page
    assert not re.search(r"\bnan\b", re.sub(r"data:[^\"]*", "", page).lower())


def test_the_page_shows_lists_of_the_published_sets(finished: Path) -> None:
    lists = pd.read_parquet(finished / paths.visual("lists"))
    for target in TARGETS:
        tracklets = store(finished, target).tracklets.set_index("tracklet")
        rows = lists[lists["dataset"] == target]
        assert tracklets.loc[rows["query"], "query"].all()
        assert tracklets.loc[rows["tracklet"], "gallery"].all()


def test_nothing_in_the_project_holds_a_path_of_the_machine_but_the_local_file(finished: Path) -> None:
    for path in finished.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".yaml", ".parquet", ".md"):
            result = b"real sets" in path.read_bytes()
            assert result == (path.name == "local.yaml"), path


def test_the_video_layout_of_unreal_person_becomes_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = sets.unreal_video(tmp_path)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    content = parameters({})
    content["datasets"]["unreal"] = {
        "reader": "unreal_person",
        "root": "sets/unreal.json",
        "max_frame_gap": 10,
    }
    Path("params.yaml").write_text(yaml.safe_dump(content))
    index("unreal", root)
    call("decode", "unreal")
    output = open_store(paths.tracklets("unreal"))
    result = output.tracklets.sort_values(["identity", "camera"])
    assert result[["identity", "camera", "length"]].to_numpy().tolist() == [[4, 2, 3], [4, 3, 1], [12, 2, 2]]
    assert output.index["frame"].isin([9, 10, 100, 1, 5, 6]).all()


def test_nothing_of_whole_sets_is_listed_as_left_out(finished: Path) -> None:
    listed = {name: json.loads((finished / paths.skipped(name)).read_text()) for name in ("unreal", *TARGETS)}
    assert list(listed.values()) == [{"images": [], "tracklets": []}] * len(listed)


def test_a_set_that_changed_is_not_decoded(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    folder = Path(yaml.safe_load(Path("sets/local.yaml").read_text())["duke"])
    (folder / "train" / "new.txt").write_text("new")  # the last test: the set is not read again
    before = (finished / paths.tracklets("duke") / "index.parquet").read_bytes()
    with pytest.raises(SystemExit) as ended:
        call("decode", "duke")
    assert "must be as sets/duke.json says, but train changed" in str(ended.value.code)
    assert (finished / paths.tracklets("duke") / "index.parquet").read_bytes() == before

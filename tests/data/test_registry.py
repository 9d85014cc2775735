"""Readers: one object in one file each, their options, their protocols, and the errors about all three."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sttreid.config.conversion import parse
from sttreid.config.datasets import Dataset, Validation
from sttreid.data import readers as package
from sttreid.data.reading import read_dataset
from sttreid.data.registry import (
    ReadSettings,
    check_datasets,
    find_reader,
    parse_options,
    protocol_name,
    readers,
)
from sttreid.retrieval.protocol import protocol
from sttreid.runtime.errors import InputError
from tests.sets import WRITERS

SETTINGS = ReadSettings(Validation(share=0.1, seed=0))


def dataset(**content: Any) -> Dataset:
    return parse(Dataset, {"root": "sets/a.json"} | content, "here")


def refusal(**content: Any) -> str:
    with pytest.raises(InputError) as error:
        check_datasets({"mine": dataset(**content)})
    return str(error.value)


def test_every_file_of_the_folder_is_a_reader_of_its_name() -> None:
    files = {path.stem for path in Path(package.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(readers()) == files


def test_every_reader_of_a_published_set_can_be_recognised() -> None:
    assert {name for name, reader in readers().items() if reader.landmarks} >= set(WRITERS)


@pytest.mark.parametrize("name", WRITERS)
def test_the_usual_options_are_enough_to_read_and_the_protocol_exists(tmp_path: Path, name: str) -> None:
    usual = dataset(reader=name, **find_reader(name).usual)
    check_datasets({"mine": usual})
    assert len(read_dataset(usual, WRITERS[name](tmp_path), SETTINGS).table) > 0
    assert protocol(protocol_name(usual)).name == protocol_name(usual)


@pytest.mark.parametrize("name", ["cameras", "footage"])
def test_the_usual_options_of_camera_videos_are_complete(name: str) -> None:
    usual = dataset(reader=name, **find_reader(name).usual)
    check_datasets({"mine": usual})
    assert protocol(protocol_name(usual)).name == protocol_name(usual)


def test_a_split_is_part_of_the_protocol_and_a_set_may_choose_another() -> None:
    assert protocol_name(dataset(reader="ilids_vid", split=3)) == "ilids-3"
    assert protocol_name(dataset(reader="prid2011", split="10")) == "prid-10"
    assert protocol_name(dataset(reader="mars", protocol="minus-queries")) == "minus-queries"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ({"reader": "mers"}, [".reader must be one of cameras, ", "got 'mers' (did you mean 'mars'?)"]),
        ({"reader": "mars", "split": 1}, [".split: the reader mars takes no options, got 1"]),
        ({"reader": "mars", "protocl": "market"}, [".protocl: ", "(did you mean 'protocol'?)"]),
        (
            {"reader": "unreal_person", "gap": 3},
            [".gap: ", "takes max_frame_gap, got 3 (did you mean 'max_frame_gap'?)"],
        ),
        (
            {"reader": "footage", "max_frame_gap": 1, "test": 0.5, "numbers": "own"},
            [".numbers: ", "got 'own' (did you mean 'identity_scope'?)"],
        ),
        ({"reader": "prid2011"}, [": the reader prid2011: the key split is missing"]),
        ({"reader": "ilids_vid", "split": 11}, ["split", "10, got 11"]),
        (
            {"reader": "footage", "max_frame_gap": 1, "test": 1, "identity_scope": "global"},
            ["test", "less than 1, got 1"],
        ),
        (
            {"reader": "footage", "max_frame_gap": 1, "test": 0.5, "identity_scope": "per_camera"},
            ["identity_scope: per_camera", "test must be 0, got test 0.5"],
        ),
    ],
)
def test_an_error_names_file_key_rule_and_value(content: dict[str, object], parts: list[str]) -> None:
    message = refusal(**content)
    assert message.startswith("params.yaml: datasets.mine")
    for part in parts:
        assert part in message


def test_options_are_converted_by_their_types() -> None:
    options = parse_options(dataset(reader="unreal_person", max_frame_gap="12"))
    assert options.max_frame_gap == 12


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_of_another_layout_is_told_with_the_reader_that_fits(tmp_path: Path, name: str) -> None:
    root = WRITERS[name](tmp_path / "sets")
    for other in WRITERS.keys() - {name}:
        with pytest.raises(InputError) as error:
            read_dataset(dataset(reader=other, **find_reader(other).usual), root, SETTINGS)
        message = str(error.value)
        assert message.startswith(f"{root}: looked for {', '.join(find_reader(other).landmarks[0])}")
        assert message.endswith(f"; it looks like {name}")


NEW = """
from sttreid.data.camera_videos import CameraVideos
from sttreid.data.registry import NoOptions, Reader
READER = Reader("brand_new", lambda folder, options, settings: CameraVideos(folder, "new", (), None, None),
                protocol="market", options=NoOptions)
"""


@pytest.fixture
def new_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "brand_new.py").write_text(NEW)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    readers.cache_clear()
    yield
    readers.cache_clear()
    sys.modules.pop("sttreid.data.readers.brand_new", None)


@pytest.mark.usefixtures("new_reader")
def test_one_file_adds_a_reader(tmp_path: Path) -> None:
    new = dataset(reader="brand_new")
    check_datasets({"mine": new})
    assert protocol_name(new) == "market"
    assert read_dataset(new, tmp_path, SETTINGS).name == "new"


WITHOUT_DECODERS = """
import sys
for name in ("decord", "av", "h5py", "scipy", "scipy.io"):
    sys.modules[name] = None
from pathlib import Path
import sttreid.data.describe, sttreid.data.index, sttreid.stages.decode
from sttreid.data import registry, videos
from sttreid.runtime.errors import InputError
assert registry.readers()
Path(sys.argv[1]).write_bytes(b"no video")
try:
    videos.count_frames(Path(sys.argv[1]))
except InputError as error:
    print(error)
"""


def test_everything_is_importable_without_the_decoders(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DECODERS, str(tmp_path / "a.mp4")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "pip install 'sttreid[pipeline]'" in done.stdout

"""Published models are found by name in a checkout, and copied from the remote's objects once."""

import hashlib
from pathlib import Path

import pytest
import yaml

from sttreid.catalogue import shelf
from sttreid.runtime.errors import InputError

CONTENT = {"old-v1": b"old weights", "new-v1": b"new weights"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with two published models and another artifact, whose files were not fetched yet."""
    (tmp_path / "src" / "sttreid").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    artifacts = {name: {"path": f"models/{name}.safetensors", "type": "model"} for name in CONTENT}
    artifacts["table"] = {"path": "table.csv", "type": "dataset"}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"artifacts": artifacts}, sort_keys=False))
    for name, content in CONTENT.items():
        md5 = hashlib.md5(content).hexdigest()
        pointer = {"outs": [{"md5": md5, "path": f"{name}.safetensors"}]}
        (tmp_path / "models" / f"{name}.safetensors.dvc").write_text(yaml.safe_dump(pointer))
        stored = tmp_path / shelf.OBJECTS / md5[:2] / md5[2:]
        stored.parent.mkdir(parents=True)
        stored.write_bytes(content)
    return tmp_path


def test_published_models_are_listed_in_order(root: Path) -> None:
    assert list(shelf.published(root)) == list(CONTENT)


@pytest.mark.parametrize(("model", "name"), [(None, "new-v1"), ("old-v1", "old-v1")])
def test_a_model_is_found_by_name_and_the_newest_by_none(root: Path, model: str | None, name: str) -> None:
    path = shelf.locate(model, root)
    assert path == root / "models" / f"{name}.safetensors"
    assert path.read_bytes() == CONTENT[name]


def test_a_published_model_is_told_from_other_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "models")
    assert shelf.published_name(Path("new-v1.safetensors")) == "new-v1"
    assert shelf.published_name(shelf.locate("old-v1")) == "old-v1"
    assert shelf.published_name(root / "new-v1.safetensors") is None


def test_a_file_that_is_there_is_left_alone(root: Path) -> None:
    path = root / "models" / "new-v1.safetensors"
    path.write_bytes(b"own")
    assert shelf.locate(None, root).read_bytes() == b"own"


def test_the_checkout_is_found_from_a_folder_inside_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "src" / "sttreid")
    assert shelf.locate("old-v1").read_bytes() == CONTENT["old-v1"]


@pytest.mark.parametrize("model", ["campus.pt", "models/campus", Path("x.safetensors")])
def test_files_need_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str | Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert shelf.locate(model) == Path(model)


def test_without_a_checkout_published_models_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shelf, "__file__", str(tmp_path / "site-packages" / "sttreid" / "shelf.py"))
    for model in (None, "old-v1"):
        with pytest.raises(InputError, match="checkout"):
            shelf.locate(model)


def test_an_unknown_name_lists_the_published_ones(root: Path) -> None:
    with pytest.raises(InputError, match=r"old-v1, new-v1.*'old-v2'"):
        shelf.locate("old-v2", root)


def test_a_checkout_without_published_models_says_so(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(InputError, match=r"dvc\.yaml: lists no published model"):
        shelf.locate(None, root)


def test_a_missing_or_damaged_object_is_no_model(root: Path) -> None:
    md5 = hashlib.md5(CONTENT["new-v1"]).hexdigest()
    stored = root / shelf.OBJECTS / md5[:2] / md5[2:]
    stored.write_bytes(b"damaged")
    with pytest.raises(InputError, match=f"{md5} is damaged"):
        shelf.locate(None, root)
    stored.unlink()
    with pytest.raises(InputError, match=r"new-v1\.safetensors: is not there; `dvc pull models/"):
        shelf.locate(None, root)
    assert not (root / "models" / "new-v1.safetensors").exists()


def test_a_folder_in_place_of_the_weights_is_told(root: Path) -> None:
    path = root / "models" / "new-v1.safetensors"
    path.mkdir()
    with pytest.raises(InputError, match=f"^{path}: must be a file"):
        shelf.locate(None, root)
    assert path.is_dir()


def test_a_path_that_no_file_can_have_is_refused(root: Path) -> None:
    artifacts = {"a": {"path": f"models/{'9' * 5000}.safetensors", "type": "model"}}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"artifacts": artifacts}))
    with pytest.raises(InputError, match=r"dvc\.yaml: artifacts\.a\.path: a path must have at most"):
        shelf.locate("a", root)

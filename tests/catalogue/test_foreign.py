"""Models and stores from elsewhere are refused before what they promise takes memory."""

import hashlib
import resource
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from sttreid.inference import load_model, open_store
from sttreid.model.weights import save
from sttreid.runtime.errors import InputError
from tests.sections import MODEL, small_network

Change = Callable[[dict[str, Any]], object]
MODELS: dict[str, Change] = {
    "many classes": lambda content: content.update(classes=10**10),
    "fewer than no class": lambda content: content.update(classes=-1),
    "many frames": lambda content: content.update(frames=10**12),
    "a large image": lambda content: content.update(image_size=[2**20, 2**20]),
    "no state": lambda content: content.update(state=None),
    "a wide network": lambda content: content["model"].update(width=10**7, heads=1),
    "too wide to be counted": lambda content: content["model"].update(width=10**15, heads=1),
    "a wide backbone": lambda content: content["model"]["backbone"].update(width=10**7),
    "a deep backbone": lambda content: content["model"]["backbone"].update(layer1=10**9),
    "many parts": lambda content: content["model"].update(parts=10**9),
    "a sparse tensor": lambda content: content["state"].update(a=torch.zeros(2, 2).to_sparse()),
    "no values": lambda content: content["state"].update(a=torch.empty(2, device="meta")),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    save(small_network(), MODEL, path)
    return path


@pytest.mark.parametrize("kind", MODELS)
def test_an_odd_model_is_refused_before_it_takes_memory(model: Path, tmp_path: Path, kind: str) -> None:
    content = torch.load(model, weights_only=True)
    MODELS[kind](content)
    path = tmp_path / "odd.pt"
    torch.save(content, path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as error:
        load_model(path, "cpu")
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("device", ["gpu", "meta", 7 if not torch.cuda.is_available() else "x", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(model: Path, device: Any) -> None:
    with pytest.raises(InputError, match="device must be one"):
        load_model(model, device)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_device_as_a_file_is_refused_unread(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match="must be a file"):
        load_model(path)


def test_a_sound_model_loads(model: Path) -> None:
    assert load_model(model, "cpu").classes == small_network().classes
    assert load_model(model, "cpu", like=model).classes == small_network().classes


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("md5: {md5}, size: 1, hash: md5, path: model.pt", False),
        ("md5: 0123456789abcdef0123456789abcdef, hash: md5, path: model.pt", True),
        ("md5: 0123456789abcdef0123456789abcdef.dir, path: model.pt", False),  # a folder had the name
        ("etag: abc, path: model.pt", False),
    ],
)
def test_a_model_that_its_pointer_denies_is_told_and_loads(
    model: Path, tmp_path: Path, named: str, told: bool
) -> None:
    path = tmp_path / "model.pt"
    shutil.copy(model, path)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    (tmp_path / "model.pt.dvc").write_text(f"outs:\n- {{{named.format(md5=md5)}}}\n")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        load_model(path)
    assert [str(path) in str(each.message) and md5 in str(each.message) for each in found] == [True] * told


def _rows(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        table = pq.read_table(folder / "index.parquet")
        changed = change(table.to_pandas())
        pq.write_table(
            table.from_pandas(changed, table.schema, preserve_index=False), folder / "index.parquet"
        )

    return write


def _header(folder: Path) -> None:
    content = (folder / "frames.npy").read_bytes()
    (folder / "frames.npy").write_bytes(content.replace(b"'shape': (", b"'shape': (-", 1)[: len(content)])


STORES: dict[str, Callable[[Path], None]] = {
    "a long index": _rows(lambda rows: rows.take(np.zeros(3_000_000, np.int64))),
    "a row without a frame": _rows(lambda rows: rows.assign(frame=rows["frame"].where(rows.index > 3))),
    "a negative shape": _header,
    "no array": lambda folder: (folder / "frames.npy").write_bytes(b"\x93NUMPY\x01\0\x09\0{'descr':"),
}


@pytest.mark.parametrize("share", [np.inf, -np.inf, -0.25, 1.5])
def test_a_visibility_that_is_no_share_is_refused(store_folder: Path, tmp_path: Path, share: float) -> None:
    folder = tmp_path / "store"
    shutil.copytree(store_folder, folder)
    for sound in (np.nan, 0.0, 1.0):
        _rows(lambda rows, value=sound: rows.assign(visibility=value))(folder)  # type: ignore[misc]
        open_store(folder)
    _rows(lambda rows: rows.assign(visibility=rows["visibility"].where(rows.index != 3, share)))(folder)
    with pytest.raises(InputError, match=rf"index\.parquet: row 3: visibility .*, got {share:g}$"):
        open_store(folder)


@pytest.mark.parametrize("kind", STORES)
def test_an_odd_store_is_refused(store_folder: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "store"
    shutil.copytree(store_folder, folder)
    open_store(folder)
    STORES[kind](folder)
    with pytest.raises(InputError) as error:
        open_store(folder)
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)

"""Weights files: both formats give equal content and equal bytes; a file with code is refused unexecuted."""

import argparse
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sttreid.model.weight_files import encode, read
from sttreid.runtime.errors import InputError

ARCHITECTURE = {"model": {"width": 8, "weights": None}, "frames": 3, "image_size": [32, 16]}
STATE = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor(7)}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_is_written_is_read(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(encode(ARCHITECTURE, STATE, suffix))
    content = read(path)
    state = content.pop("state")
    assert content == ARCHITECTURE
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_equal_content_gives_equal_bytes(suffix):
    one, two = (encode(ARCHITECTURE, {k: v.clone() for k, v in STATE.items()}, suffix) for _ in range(2))
    assert one == two
    assert one != encode(ARCHITECTURE, {**STATE, "a": torch.tensor(8)}, suffix)
    assert one != encode({**ARCHITECTURE, "frames": 4}, STATE, suffix)


def test_safetensors_without_an_architecture_are_plain_tensors(tmp_path):
    save_file(STATE, tmp_path / "plain.safetensors", metadata={"format": "pt"})
    assert read(tmp_path / "plain.safetensors").keys() == STATE.keys()


def test_a_header_that_is_no_mapping_is_refused(tmp_path):
    save_file(STATE, tmp_path / "bad.safetensors", metadata={"sttreid-model": "[3]"})
    with pytest.raises(InputError, match=r"bad\.safetensors: .*'\[3\]'"):
        read(tmp_path / "bad.safetensors")


class Executed:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_never_executed_and_its_name_is_said(tmp_path, zipped):
    path = tmp_path / "evil.pth"
    torch.save(
        {"state_dict": STATE, "x": Executed(tmp_path / "executed")},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(InputError, match=r"evil\.pth: pickles posix\.mkdir"):
        read(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (argparse.Namespace(lr=0.1), "argparse.Namespace"),
        (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
    ],
)
def test_a_class_is_named_with_what_to_do(tmp_path, value, name):
    torch.save({"state_dict": STATE, "args": value}, tmp_path / "field.pth")
    with pytest.raises(InputError) as caught:
        read(tmp_path / "field.pth")
    assert f"pickles {name}," in str(caught.value)
    assert "torch.save(" in str(caught.value)


FILES = {
    "text": lambda path: path.write_text("these are no weights\n"),
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(encode(ARCHITECTURE, STATE, path.suffix)[:-9]),
    "folder": lambda path: path.mkdir(),
    "missing": Path.exists,
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_damaged_or_missing_file_is_named(tmp_path, suffix, kind):
    path = tmp_path / f"weights{suffix}"
    FILES[kind](path)
    reason = "no such weights file" if kind == "missing" else "cannot be read as a weights file"
    with pytest.raises(InputError, match=rf"weights\{suffix}: {reason}"):
        read(path)


def test_a_list_is_no_mapping(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(InputError, match=r"list\.pt: .* got list"):
        read(tmp_path / "list.pt")

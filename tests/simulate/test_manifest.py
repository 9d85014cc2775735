import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sttreid.config.domain import Domain, Scale
from sttreid.runtime.errors import InputError
from sttreid.simulate.manifest import MANIFEST, differences, recipe


@pytest.fixture
def copy(rendered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rendered, tmp_path / "copy"))


def test_a_rendering_agrees_with_its_manifest(rendered: Path) -> None:
    assert differences(rendered, rendered / MANIFEST) == []


@pytest.mark.parametrize("name", ["c1.mp4", "c2.txt", "truth.parquet", "tracks.csv"])
def test_a_file_with_another_byte_is_named(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    (sentence,) = differences(copy, copy / MANIFEST)
    assert sentence.startswith(f"{copy / name}: the checksum must be ")


def test_missing_and_surplus_files_are_named(copy: Path) -> None:
    (copy / "c1.txt").rename(copy / "c7.txt")
    assert differences(copy, copy / MANIFEST) == [
        f"{copy / 'c1.txt'}: is missing",
        f"{copy / 'c7.txt'}: is not in the manifest",
    ]


def test_a_folder_that_is_not_there_lacks_every_file(rendered: Path, tmp_path: Path) -> None:
    assert len(differences(tmp_path / "none", rendered / MANIFEST)) == 7  # the manifest is one of them


def test_another_renderings_manifest_must_say_the_same(copy: Path, rendered: Path) -> None:
    assert differences(copy, rendered / MANIFEST) == []
    content = json.loads((copy / MANIFEST).read_text())
    content["splits"]["test"], content["gap"] = [5], 9
    (copy / MANIFEST).write_text(json.dumps(content))
    sentences = differences(copy, rendered / MANIFEST)
    assert len(sentences) == 2
    for sentence, key in zip(sentences, ("gap", "splits"), strict=True):
        assert sentence.startswith(f"{copy / MANIFEST}: ")
        assert repr(key) in sentence
        assert str(rendered / MANIFEST) in sentence
    (copy / MANIFEST).unlink()
    assert differences(copy, rendered / MANIFEST) == [f"{copy / MANIFEST}: is missing"]


def test_a_manifest_without_checksums_is_refused(copy: Path) -> None:
    content = json.loads((copy / MANIFEST).read_text())
    del content["cameras"]["c2"]["sha256_video"]
    (copy / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"manifest\.json: must be a manifest of the simulator"):
        differences(copy, copy / MANIFEST)


def test_a_recipe_holds_everything_that_decides_the_bytes(domain: Domain, scale: Scale) -> None:
    first = recipe("a", domain, scale, None)
    assert json.loads(json.dumps(first)) == first
    assert first == recipe("a", domain, replace(scale), None)
    others = [
        recipe("b", domain, scale, None),
        recipe("a", replace(domain, crowd=replace(domain.crowd, jitter=0.06)), scale, None),
        recipe("a", replace(domain, same_people_as="b"), scale, None),
        recipe("a", domain, replace(scale, seed=4), None),
        recipe("a", domain, replace(scale, first_identity=7), None),
        recipe("a", domain, scale, "v1"),
    ]
    assert all(other != first for other in others)


def test_a_recipe_leaves_out_what_later_versions_added_at_its_default(domain: Domain, scale: Scale) -> None:
    first = recipe("a", domain, scale, None)
    assert "first_identity" not in first["scale"]
    assert "same_people_as" not in first["domain"]
    later = recipe("a", replace(domain, same_people_as="b"), replace(scale, first_identity=7), None)
    assert later["scale"] == first["scale"] | {"first_identity": 7}
    assert later["domain"] == first["domain"] | {"same_people_as": "b"}

"""Published images in shards: the same bytes, whatever was killed, missing or damaged meanwhile."""

import errno
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sttreid.config.datasets import Decode, Validation
from sttreid.data import folder_manifest, packing
from sttreid.data.crops import crop
from sttreid.data.folder_manifest import scan
from sttreid.data.packing import pack
from sttreid.data.published import disk_buffer, text_lists
from sttreid.data.readers.mars import read_mars
from sttreid.data.store_rows import StoreRows, order_rows
from sttreid.runtime.errors import InputError
from sttreid.tracklets import store
from sttreid.tracklets.store import Skipped, Store, open_store
from tests import sets

DECODE = Decode(
    height=12,
    width=6,
    strict=False,
    on_error="raise",
    check="structure",
    validation=Validation(share=0.1, seed=0),
)
SKIP = replace(DECODE, on_error="skip")
LIMIT = 4000  # bytes: a few images a shard


@pytest.fixture
def mars(tmp_path: Path) -> Path:
    """MARS in which every image is another one, of another length and shape."""
    root = sets.mars(tmp_path)
    rng = np.random.default_rng(0)
    for path in sorted(root.glob("bbox_*/*/*.jpg")):
        height, width = rng.integers(16, 40, 2)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)
    return root


def arranged(root: Path, decode: Decode = DECODE) -> StoreRows:
    return order_rows(read_mars(root), decode.validation, decode.on_error)


def run(root: Path, folder: Path, decode: Decode = DECODE, limit: int = LIMIT) -> Store:
    pack(arranged(root, decode), root, scan(root), decode, folder, limit)
    return open_store(folder)


def stored(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of every image in the shards of a store."""
    index = pq.read_table(folder / "index.parquet").to_pandas()
    names = pq.read_table(folder / "names.parquet")["name"].to_pylist()
    out = {}
    for name, row in zip(names, index.itertuples(), strict=True):
        shard = (folder / f"pictures-{row.shard:03d}.bin").read_bytes()
        out[name] = shard[row.offset : row.offset + row.bytes]
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_bytes_of_every_image_are_kept(mars: Path, tmp_path: Path) -> None:
    output = arranged(mars)
    run(mars, tmp_path / "store")
    result = stored(tmp_path / "store")
    assert list(result) == output.names().to_pylist()
    assert result == {name: (mars / name).read_bytes() for name in result}
    shards = [path for path in (tmp_path / "store").iterdir() if path.suffix == ".bin"]
    assert len(shards) > 3
    assert max(path.stat().st_size for path in shards) <= LIMIT
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_store_of_images_is_read_as_one_of_crops(mars: Path, tmp_path: Path) -> None:
    output, store = arranged(mars), run(mars, tmp_path / "store")
    expected = []
    for name in output.names().to_pylist():
        frame = np.array(Image.open(mars / name))
        expected.append(crop(frame, (0, 0, frame.shape[1], frame.shape[0]), 12, 6))
    np.testing.assert_array_equal(store.frames[:], np.stack(expected), strict=True)
    columns = ["tracklet", "identity", "camera", "frame", "split", "query", "gallery", "junk"]
    assert store.index[columns].to_numpy().tolist() == output.index()[columns].to_numpy().tolist()
    assert store.index["visibility"].isna().all()
    assert set(store.index.columns) == {*columns, "visibility"}
    test = store.gallery()
    assert (test["query"].sum(), test["gallery"].sum(), test["junk"].sum()) == (4, 10, 2)
    assert store.of_split("validation")["identity"].nunique() == 1


def test_equal_sets_give_equal_bytes(mars: Path, tmp_path: Path) -> None:
    run(mars, tmp_path / "one")
    run(mars, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert not any(str(tmp_path).encode() in content for content in files(tmp_path / "one").values())


def test_many_bytes_make_larger_shards_not_more(mars: Path, tmp_path: Path) -> None:
    manifest = scan(mars)
    total = sum(part["bytes"] for part in manifest["parts"].values())
    manifest["parts"]["bbox_train"]["bytes"] += 190 * 5000 - total
    pack(arranged(mars), mars, manifest, DECODE, tmp_path / "store", shard_bytes=1)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "store").glob("*.bin"))]
    first = [len(next(iter(stored(tmp_path / "store").values())))]
    assert len(sizes) > 3
    assert first[0] < max(sizes) <= 5000
    assert all(item + two > 5000 for item, two in pairwise(sizes))


class KilledError(BaseException):
    """As if by a signal: nothing catches it."""


def dies(monkeypatch: pytest.MonkeyPatch, name: str, when: int, root: Path, folder: Path, **options) -> None:
    """A run that is interrupted when it calls something for the n-th time."""
    real, calls = getattr(packing, name), []

    def call(*arguments, **named):
        calls.append(name)
        if len(calls) == when:
            raise KilledError
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(packing, name, call)
        with pytest.raises(KilledError):
            run(root, folder, **options)


@pytest.mark.parametrize(
    ("name", "when"),
    [("_read", 1), ("_read", 20), ("write_table", 3), ("to_table", 1), ("replace_folder", 1)],
)
def test_a_interrupted_run_resumes_after_its_last_complete_shard(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, when: int
) -> None:
    run(mars, tmp_path / "expected")
    dies(monkeypatch, name, when, mars, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    partial = tmp_path / ".store.partial"
    (partial / ".pictures-009.bin.tmp").write_bytes(b"half")
    done = sum(len(pq.read_table(path)) for path in partial.glob("*.bin.parquet"))
    real, read = packing._read, []
    monkeypatch.setattr(packing, "_read", lambda *given: read.append(given[0]) or real(*given))
    run(mars, tmp_path / "store")
    assert files(tmp_path / "store") == files(tmp_path / "expected")
    assert not partial.exists()
    names = [str(mars / name) for name in arranged(mars).names().to_pylist()]
    assert list(dict.fromkeys(read)) == names[done:]  # an image that no longer fits is read twice
    assert (done > 0) == (when > 1 or name == "to_table")


def test_shards_of_another_state_of_the_set_are_not_used(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies(monkeypatch, "to_table", 1, mars, tmp_path / "store")
    first = mars / arranged(mars).names()[0].as_py()
    Image.new("RGB", (30, 50), (1, 2, 3)).save(first)
    run(mars, tmp_path / "store")
    assert stored(tmp_path / "store")[first.relative_to(mars).as_posix()] == first.read_bytes()


def test_shards_that_were_checked_less_are_not_used(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = spoil(mars)
    dies(monkeypatch, "to_table", 1, mars, tmp_path / "store")
    with pytest.raises(InputError, match=f"^{mars / name}: the image cannot be decoded"):
        run(mars, tmp_path / "store", replace(DECODE, check="pixels"))


def test_a_damaged_table_of_a_shard_counts_as_none(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(mars, tmp_path / "expected")
    dies(monkeypatch, "to_table", 1, mars, tmp_path / "store")
    (tmp_path / ".store.partial" / "pictures-002.bin.parquet").write_bytes(b"PAR1")
    run(mars, tmp_path / "store")
    assert files(tmp_path / "store") == files(tmp_path / "expected")


def spoil(root: Path) -> str:
    """An image whose markers are whole and that cannot be decoded."""
    name: str = arranged(root).names()[5].as_py()
    content = bytearray((root / name).read_bytes())
    table = content.find(b"\xff\xdb")
    content[table + 4] = 0xFF  # a quantisation table that does not exist
    (root / name).write_bytes(content)
    return name


def damage(root: Path) -> tuple[str, str, str]:
    """An image cut short, one that is missing, and a tracklet whose only image is none."""
    names = ("bbox_train/0012/0012C3T0001F999.jpg", "bbox_test/0002/0002C5T0002F003.jpg")
    (root / names[0]).write_bytes((root / names[0]).read_bytes()[:-300])
    (root / names[1]).unlink()
    alone = "bbox_train/0007/0007C6T0009F001.jpg"
    (root / alone).write_bytes(b"no image")
    return (*names, alone)


def test_a_damaged_image_stops_the_run_with_its_path(mars: Path, tmp_path: Path) -> None:
    names = damage(mars)
    result = arranged(mars, SKIP)
    with pytest.raises(InputError) as error:
        pack(result, mars, scan(mars), DECODE, tmp_path / "store", LIMIT)
    assert str(error.value) == f"{mars / names[2]}: the file is no JPEG or PNG"
    assert not (tmp_path / "store").exists()
    Image.new("RGB", (16, 32)).save(mars / names[2])
    with pytest.raises(InputError, match=f"^{mars / names[0]}: the image is cut short$"):
        pack(result, mars, scan(mars), DECODE, tmp_path / "store", LIMIT)


def test_what_is_skipped_is_listed(mars: Path, tmp_path: Path) -> None:
    assert pack(arranged(mars), mars, scan(mars), DECODE, tmp_path / "whole", LIMIT) == Skipped([], [])
    whole = open_store(tmp_path / "whole")
    names = damage(mars)
    listed = pack(arranged(mars, SKIP), mars, scan(mars), SKIP, tmp_path / "store", LIMIT)
    store = open_store(tmp_path / "store")
    assert {entry["path"]: entry["reason"] for entry in listed.images} == {
        names[0]: "the image is cut short",
        names[1]: "the image cannot be read (No such file or directory)",
        names[2]: "the file is no JPEG or PNG",
    }
    assert [(row["identity"], row["camera"], row["missing"]) for row in listed.tracklets] == [(2, 5, 1)]
    assert set(stored(tmp_path / "store")) == set(stored(tmp_path / "whole")) - set(names)
    assert len(store.frames) == len(whole.frames) - 3
    assert len(store.tracklets) == len(whole.tracklets) - 1  # the one of one image
    assert store.frames[:].shape == (len(store.frames), 12, 6, 3)


def test_a_run_that_raises_does_not_take_over_what_another_skipped(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = damage(mars)
    dies(monkeypatch, "to_table", 1, mars, tmp_path / "store", decode=SKIP)
    with pytest.raises(InputError) as error:
        pack(arranged(mars, SKIP), mars, scan(mars), DECODE, tmp_path / "store", LIMIT)
    assert str(error.value) == f"{mars / names[2]}: the file is no JPEG or PNG"


def test_what_another_run_skipped_is_read_again_once_it_is_mended(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = mars / arranged(mars).names()[5].as_py()
    content, times = name.read_bytes(), name.stat()
    name.chmod(0)
    monkeypatch.setattr(packing, "_read_bytes", forbidden)
    dies(monkeypatch, "to_table", 1, mars, tmp_path / "store", decode=SKIP)
    monkeypatch.undo()
    name.chmod(0o644)
    assert (name.read_bytes(), name.stat().st_mtime) == (content, times.st_mtime)  # the same manifest
    run(mars, tmp_path / "store")
    assert stored(tmp_path / "store")[name.relative_to(mars).as_posix()] == content


def forbidden(path: str) -> bytes:
    """A file's bytes; root may read any file, so the mode is checked."""
    if not Path(path).stat().st_mode & 0o444:
        raise PermissionError(13, "Permission denied")
    return Path(path).read_bytes()


def test_damage_that_only_decoding_shows_is_found_where_asked_for(mars: Path, tmp_path: Path) -> None:
    name = spoil(mars)
    assert len(run(mars, tmp_path / "store").frames) == len(arranged(mars))
    with pytest.raises(InputError, match=f"^{mars / name}: the image cannot be decoded"):
        run(mars, tmp_path / "store", replace(DECODE, check="pixels"))
    with pytest.raises(InputError, match=f"^{name}: the image cannot be decoded"):
        open_store(tmp_path / "store").frames[:]


def test_two_runs_list_what_they_skip_in_the_same_words(mars: Path, tmp_path: Path) -> None:
    name = arranged(mars).names()[5].as_py()
    content = bytearray((mars / name).read_bytes())
    content[content.find(b"\xff\xc0") + 4] = 7  # bits a sample: Pillow does not know such a JPEG
    (mars / name).write_bytes(content)
    pixels = replace(SKIP, check="pixels")
    listed = [pack(arranged(mars), mars, scan(mars), pixels, tmp_path / "a", LIMIT) for _ in range(2)]
    assert listed[0] == listed[1]
    reason = "the image cannot be decoded (the format is unknown)"
    assert listed[0].images == [{"path": name, "reason": reason}]


def test_a_set_without_any_whole_image_is_refused(mars: Path, tmp_path: Path) -> None:
    for path in mars.glob("bbox_*/*/*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="must hold at least one image, got none"):
        run(mars, tmp_path / "store", SKIP)


def test_a_damaged_store_is_told(mars: Path, tmp_path: Path) -> None:
    run(mars, tmp_path / "good")
    for name, words in (
        ("pictures-001.bin", "must hold"),
        ("index.parquet", "cannot be read as Parquet"),
        ("store.json", "must be JSON"),
    ):
        shutil.copytree(tmp_path / "good", tmp_path / "bad")
        path = tmp_path / "bad" / name
        path.write_bytes(path.read_bytes()[:-3])
        with pytest.raises(InputError, match=f"{path}.*{words}"):
            open_store(tmp_path / "bad")
        shutil.rmtree(tmp_path / "bad")
    path = tmp_path / "good" / "store.json"
    path.write_text(path.read_text().replace("pictures/1", "pictures/2"))
    with pytest.raises(InputError, match=r"store\.json: format must be 'sttreid-pictures/1', got"):
        open_store(tmp_path / "good")


@pytest.mark.parametrize("rows", [1, 7])
def test_blocks_do_not_change_the_bytes(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    damage(mars)
    run(mars, tmp_path / "one", SKIP)
    for module, name in (
        (packing, "NAMES_AT_ONCE"),
        (packing, "ROWS_AT_ONCE"),
        (store, "ROWS_AT_ONCE"),
        (folder_manifest, "FILES_AT_ONCE"),
        (disk_buffer, "BLOCK"),
        (text_lists, "CHARACTERS"),
    ):
        monkeypatch.setattr(module, name, rows)
    run(mars, tmp_path / "two", SKIP)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_full_disk_and_a_second_writer_are_told(
    mars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "stores" / "one"
    run(mars, folder)
    before = files(folder)

    def full(*_: object) -> None:
        with pytest.raises(InputError, match="one: must have one writer, but another process is writing it"):
            run(mars, folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packing, "check_packed", full)
    with pytest.raises(InputError, match=r"one: cannot be written \(No space left on device\)"):
        run(mars, folder)
    assert files(folder) == before
    monkeypatch.undo()
    run(mars, folder)
    assert files(folder) == before

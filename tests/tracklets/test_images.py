"""Shards of encoded images against one array of the same pixels."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sttreid.data.crops import crop
from sttreid.runtime.errors import InputError
from sttreid.tracklets.images import (
    READ_AHEAD,
    EncodedImages,
    StructureCheck,
    decode_image,
    describe_error,
)

COUNT, HEIGHT, WIDTH = 11, 12, 6


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            UnidentifiedImageError("cannot identify image file <_io.BytesIO object at 0x7f>"),
            "the format is unknown",
        ),
        (FileNotFoundError(2, "No such file or directory", "/sets/a.jpg"), "No such file or directory"),
        (OSError("cannot read <_io.BytesIO object at 0x7f>"), "OSError"),
        (OSError("cannot read /sets/a.jpg"), "OSError"),
        (ValueError(), "ValueError"),
        (OSError("image file is truncated\n(3 bytes not processed)"), "image file is truncated (3 bytes not"),
    ],
)
def test_a_failure_is_told_without_address_and_path(error: Exception, words: str) -> None:
    message = describe_error(error)
    assert message.startswith(words)
    assert "0x" not in message
    assert "/" not in message


def encode(row: int, kind: str, height: int = 24, width: int = 12, **options: object) -> bytes:
    pixels = np.random.default_rng(row).integers(0, 256, (height, width, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


CONTENTS = [encode(row, "PNG" if row % 3 == 0 else "JPEG", 20 + row, 10 + row) for row in range(COUNT)]


def build(folder: Path, contents: list[bytes], last: int) -> EncodedImages:
    """The images up to ``last`` lie in one shard, the others in a second one; all have names."""
    folder.mkdir(exist_ok=True)
    places: list[list[int]] = [[], [], []]
    shards = [folder / "a.bin", folder / "b.bin"]
    position = [0, 0]
    with shards[0].open("wb") as item, shards[1].open("wb") as two:
        for row, content in enumerate(contents):
            number = int(row > last)
            (two if number else item).write(content)
            for column, value in zip(places, (number, position[number], len(content)), strict=True):
                column.append(value)
            position[number] += len(content)
    pq.write_table(pa.table({"name": [f"some/{row}.jpg" for row in range(len(contents))]}), folder / "n")
    shard, offset, length = (np.array(column, np.int64) for column in places)
    return EncodedImages(shards, (shard, offset, length), HEIGHT, WIDTH, folder / "n")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> EncodedImages:
    return build(tmp_path_factory.mktemp("shards"), CONTENTS, 6)


@pytest.fixture(scope="module")
def array() -> NDArray[np.uint8]:
    """The same images, decoded by Pillow and resized by the code that cuts boxes out of videos."""
    output = []
    for content in CONTENTS:
        frame = np.array(Image.open(io.BytesIO(content)).convert("RGB"))
        output.append(crop(frame, (0, 0, frame.shape[1], frame.shape[0]), HEIGHT, WIDTH))
    return np.stack(output)


KEYS = [
    0,
    -1,
    np.int64(4),
    slice(None),
    slice(2, 9),
    slice(8, 1, -3),
    slice(5, 5),
    [3, 4, 5],
    [9, 2, 2, -1, 0],
    np.array([], np.int64),
    np.array([[1, 7], [10, 7]]),
    np.arange(COUNT) % 2 == 0,
    (slice(3, 8), slice(None), slice(1, 4)),
    ([5, 1], slice(2, 9), 3),
    (np.array([[2], [8]]), 4),
    (7, slice(None, None, 2), -1, 0),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_gives_what_an_array_gives(
    images: EncodedImages, array: NDArray[np.uint8], key: object
) -> None:
    result, expected = images[key], array[key]
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected, strict=True)


def test_it_has_the_shape_of_an_array(images: EncodedImages, array: NDArray[np.uint8]) -> None:
    assert (images.shape, images.ndim, images.dtype) == (array.shape, array.ndim, array.dtype)
    assert len(images) == len(array)


@given(st.lists(st.integers(-COUNT, COUNT - 1), max_size=12))
def test_any_rows_in_any_order(images: EncodedImages, array: NDArray[np.uint8], rows: list[int]) -> None:
    chosen = np.array(rows, np.int64)
    np.testing.assert_array_equal(images[chosen], array[chosen], strict=True)


@pytest.mark.parametrize("key", [COUNT, -COUNT - 1, [0, COUNT], [0.5], [True] * 3, ([0], [0]), ..., None])
def test_what_an_array_would_refuse_is_refused(images: EncodedImages, key: object) -> None:
    with pytest.raises(IndexError):
        images[np.array(key) if isinstance(key, list) else key]


def reads(images: EncodedImages, monkeypatch: pytest.MonkeyPatch, rows: list[int]) -> list[int]:
    """The lengths of the reads from disk that some rows need."""
    lengths = []
    real = os.pread

    def pread(file: int, length: int, offset: int) -> bytes:
        lengths.append(length)
        return real(file, length, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", pread)
        images[np.array(rows)]
    return lengths


def test_a_clip_is_one_short_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [encode(0, "JPEG")] * 40
    size = len(contents[0])
    output = build(tmp_path / "shards", contents, 29)
    assert reads(output, monkeypatch, list(range(4, 12))) == [8 * size]
    assert reads(output, monkeypatch, [3, 8, 13, 18, 23]) == [21 * size]
    assert reads(output, monkeypatch, [28, 29, 30, 31]) == [2 * size, 2 * size]
    far = [encode(0, "JPEG"), b"\xff\xd8" + bytes(READ_AHEAD), encode(0, "JPEG")]
    assert reads(build(tmp_path / "far", far, 9), monkeypatch, [2, 0]) == [size, size]


def test_threads_may_share_it(images: EncodedImages, array: NDArray[np.uint8]) -> None:
    with ThreadPoolExecutor(8) as pool:
        rows = [np.random.default_rng(seed).integers(0, COUNT, 5) for seed in range(64)]
        for chosen, result in zip(rows, pool.map(images.__getitem__, rows), strict=True):
            np.testing.assert_array_equal(result, array[chosen])


def test_its_files_are_closed_with_it(tmp_path: Path) -> None:
    output = build(tmp_path / "shards", CONTENTS, 6)
    files = list(output._files)
    del output
    for file in files:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)


def test_a_shard_that_is_missing_or_of_another_length_is_named(tmp_path: Path) -> None:
    output = build(tmp_path / "shards", CONTENTS, 6)
    places = output._shard, output._offset, output._length
    path = tmp_path / "shards" / "b.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"b\.bin: the shard must hold {places[2][7:].sum()} bytes, got"):
        EncodedImages(output._shards, places, HEIGHT, WIDTH, output._names)
    with pytest.raises(InputError, match=r"b\.bin: the shard is cut short"):
        output[-1]
    path.unlink()
    with pytest.raises(InputError, match=r"b\.bin: the shard of the store cannot be opened"):
        EncodedImages(output._shards, places, HEIGHT, WIDTH, output._names)


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    broken = CONTENTS[1][:4] + b"\0" * 40 + CONTENTS[1][44:]
    output = build(tmp_path / "shards", [CONTENTS[0], broken, CONTENTS[2]], 6)
    with pytest.raises(InputError, match=r"^some/1\.jpg: the image cannot be decoded"):
        output[0:3]
    assert output[[0, 2]].shape == (2, HEIGHT, WIDTH, 3)


def test_colours_are_rgb_whatever_the_image_holds() -> None:
    for mode, kind in (("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("1", "PNG")):
        content = io.BytesIO()
        Image.new("RGB", (4, 8), (255, 255, 255)).convert(mode).save(content, kind)
        assert decode_image(content.getvalue(), 16, 8).tolist() == np.full((16, 8, 3), 255).tolist()


GOOD = {
    "baseline": encode(1, "JPEG"),
    "progressive": encode(2, "JPEG", progressive=True),
    "restarts": encode(3, "JPEG", 64, 64, restart_marker_rows=1),
    "comment and profile": encode(4, "JPEG", comment=b"\xff\xd9 in a comment", icc_profile=bytes(70_000)),
    "png": encode(5, "PNG"),
    "grey": encode(6, "JPEG") + b"\0\0 what a camera appends",
}


def damage(content: bytes) -> str | None:
    """What a check says that knows no image yet; one that knows the others must say the same."""
    check = StructureCheck()
    for other in GOOD.values():
        assert check.damage(other) is None
        assert check.damage(content) == StructureCheck().damage(content)
    return StructureCheck().damage(content)


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_whole_images_pass(content: bytes) -> None:
    assert damage(content) is None


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_images_cut_short_anywhere_do_not(content: bytes) -> None:
    end = content.rfind(b"\xff\xd9") if content.startswith(b"\xff\xd8") else len(content) - 1
    for length in {*range(0, 60), *range(0, end, 97), end - 1, end}:
        assert damage(content[:length]) is not None, length
        assert damage(content[:length] + b"\0" * (end - length)) is not None, (
            length
        )  # a download that broke off


@given(st.binary(max_size=60))
def test_any_bytes_are_told_from_an_image(content: bytes) -> None:
    for beginning in (b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\x02"):
        assert damage(beginning + content.replace(b"\xff\xda", b"")) is not None

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sttreid.runtime.errors import InputError
from sttreid.search.gallery import Gallery, ModelReference, concatenate
from tests.search.galleries import MODEL, gallery_of
from tests.search.results import CALIBRATION


def assert_equal(left: Gallery, right: Gallery) -> None:
    pd.testing.assert_frame_equal(left.tracklets, right.tracklets, check_dtype=False)
    np.testing.assert_array_equal(left.embeddings, right.embeddings)
    assert left.model == right.model
    assert left.strips == right.strips


@pytest.mark.parametrize("strips", [True, False])
@pytest.mark.parametrize("labels", [True, False])
def test_a_gallery_reads_as_it_was_written(tmp_path: Path, strips: bool, labels: bool) -> None:
    gallery = gallery_of(strips=strips, labels=labels)
    gallery.write(tmp_path / "sub" / "g.parquet")
    assert_equal(Gallery.read(tmp_path / "sub" / "g.parquet"), gallery)
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["g.parquet"]


def test_equal_galleries_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        gallery_of(strips=True).write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_read_gallery_holds_none_where_an_identity_is_unknown(tmp_path: Path) -> None:
    gallery = gallery_of()
    table = gallery.tracklets.assign(identity=[None, *gallery.tracklets["identity"][1:]])
    replace(gallery, tracklets=table).write(tmp_path / "g")
    identities = Gallery.read(tmp_path / "g").tracklets["identity"].tolist()
    assert identities == [None, *table["identity"][1:]]


def test_names_find_their_tracklets() -> None:
    gallery = gallery_of()
    assert [gallery.find(name) for name in gallery.names] == [[row] for row in range(len(gallery))]
    table = gallery.tracklets.copy()
    table.loc[1, "track"] = "1"  # a second tracklet of track 1, which begins at frame 11
    split = replace(gallery, tracklets=table)
    assert split.names[:3] == ("cam1.mp4:1@1", "cam1.mp4:1@11", "cam1.mp4:3")
    assert split.find("cam1.mp4:1") == [0, 1]
    assert split.find("cam1.mp4:1@11") == [1]
    with pytest.raises(InputError, match=r"cam1\.mp4:99"):
        gallery.find("cam1.mp4:99")


def test_take_and_concatenate() -> None:
    gallery = gallery_of(strips=True)
    parts = [gallery.take(np.arange(3)), gallery.take(np.arange(3, len(gallery)))]
    assert_equal(concatenate(parts), gallery)
    with pytest.raises(InputError, match="once"):
        concatenate([gallery, gallery])
    with pytest.raises(InputError, match="at least 1"):
        concatenate([])
    other = replace(parts[1], model=replace(MODEL, sha256="cd" * 32))
    for model in (other.model, replace(MODEL, frames=8), replace(MODEL, height=128)):
        with pytest.raises(InputError, match="one model"):
            concatenate([parts[0], replace(parts[1], model=model)])
    renamed = replace(parts[1], model=replace(MODEL, name="copy.pt"))
    assert len(concatenate([parts[0], renamed])) == len(gallery)
    with pytest.raises(InputError, match="calibration"):
        concatenate([parts[0], replace(parts[1], calibration=CALIBRATION)])
    with pytest.raises(InputError, match="strips"):
        concatenate([parts[0], replace(parts[1], strips=())])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("first", 0),
        ("last", -1),
        ("start", np.nan),
        ("end", -1.0),
        ("boxes", 0),
        ("height", 0.0),
        ("height", np.inf),
        ("border", 1.5),
        ("border", np.nan),
        ("camera", None),
    ],
)
def test_a_value_that_breaks_a_rule_is_named_with_its_row(column: str, value: object) -> None:
    table = gallery_of().tracklets.copy()
    table[column] = [*table[column][:2], value, *table[column][3:]]
    with pytest.raises(InputError, match="row 2: "):
        replace(gallery_of(), tracklets=table)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0])
def test_embeddings_must_be_finite_and_of_norm_1(value: float) -> None:
    embeddings = gallery_of().embeddings.copy()
    embeddings[3, 0] = value
    with pytest.raises(InputError, match="row 3: "):
        replace(gallery_of(), embeddings=embeddings)


def test_parts_must_have_equal_lengths() -> None:
    gallery = gallery_of()
    with pytest.raises(InputError, match="embedding per tracklet"):
        replace(gallery, embeddings=gallery.embeddings[1:])
    with pytest.raises(InputError, match="embedding per tracklet"):
        replace(gallery, embeddings=gallery.embeddings.astype(np.float64))
    with pytest.raises(InputError, match="film strips"):
        replace(gallery, strips=(b"x",))


def test_files_that_are_no_gallery_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.parquet"
    with pytest.raises(InputError, match="no such gallery"):
        Gallery.read(path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        Gallery.read(path)
    gallery_of().write(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"g\.parquet: cannot be read"):
        Gallery.read(path)
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(InputError, match="sttreid-gallery/1"):
        Gallery.read(path)


def test_damaged_bytes_in_a_column_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.parquet"
    gallery_of(people=50).write(path)
    content = bytearray(path.read_bytes())
    for position in range(8, len(content) // 2, 7):
        content[position] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"g\.parquet"):
        Gallery.read(path)


def rewritten(path: Path, **columns: pa.Array) -> None:
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    pq.write_table(table, path)


def test_columns_of_another_type_missing_columns_and_nulls_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.parquet"
    count = len(gallery_of())
    gallery_of().write(path)
    rewritten(path, first=pa.array(["1"] * count))
    with pytest.raises(InputError, match="first must be int64"):
        Gallery.read(path)
    gallery_of().write(path)
    pq.write_table(pq.read_table(path).drop_columns(["border"]), path)
    with pytest.raises(InputError, match="column border"):
        Gallery.read(path)
    gallery_of().write(path)
    rewritten(path, embedding=pa.array([None] * count, pa.list_(pa.float32(), MODEL.dimensions)))
    with pytest.raises(InputError, match="null"):
        Gallery.read(path)
    gallery_of().write(path)
    rewritten(path, first=pa.array([None] * count, pa.int64()))
    with pytest.raises(InputError, match="first must be given"):
        Gallery.read(path)


def test_a_gallery_without_tracklets_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.parquet"
    gallery_of().write(path)
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(InputError, match="at least 1 tracklet"):
        Gallery.read(path)


def test_metadata_must_describe_a_model(tmp_path: Path) -> None:
    path = tmp_path / "g.parquet"
    gallery_of().write(path)
    table = pq.read_table(path)
    content = {"format": "sttreid-gallery/1", "model": {"name": "m"}}
    pq.write_table(table.replace_schema_metadata({b"sttreid": json.dumps(content).encode()}), path)
    with pytest.raises(InputError, match="sha256"):
        Gallery.read(path)
    assert set(ModelReference.__dataclass_fields__) >= {"sha256", "dimensions"}


LIMITED = """
import resource, sys
from pathlib import Path
from tests.search.galleries import gallery_of
from sttreid.runtime.errors import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    gallery_of(people=200).write(Path(sys.argv[1]))
except InputError as error:
    sys.exit(0 if sys.argv[1] in str(error) else 1)
sys.exit(3)
"""


def test_a_full_disk_leaves_the_previous_file(tmp_path: Path) -> None:
    path = tmp_path / "g.parquet"
    path.write_bytes(b"previous")
    command = [sys.executable, "-c", LIMITED, str(path)]
    assert subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode == 0
    assert path.read_bytes() == b"previous"
    assert list(tmp_path.iterdir()) == [path]

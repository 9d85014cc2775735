"""How much memory reading and packing a published set takes does not depend on the number of its images."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench import trees

# Prints what Python, NumPy and Arrow hold at most for each set, the smallest first: Arrow's most only rises.
# The blocks are small, so that the sets may be.
WORK = """
import sys, tracemalloc
from pathlib import Path
import pyarrow as pa
from sttreid.config.datasets import Decode, Validation
from sttreid.data import folder_manifest, packing
from sttreid.data.published import disk_buffer, text_lists
from sttreid.data.registry import ReadSettings, find_reader
from sttreid.data.store_rows import order_rows
from sttreid.tracklets import store

disk_buffer.BLOCK = packing.ROWS_AT_ONCE = packing.NAMES_AT_ONCE = store.ROWS_AT_ONCE = 256
folder_manifest.FILES_AT_ONCE = 256
text_lists.CHARACTERS = 4096

def run(root, decode):
    manifest = folder_manifest.scan(root)
    reader = find_reader(sys.argv[1])
    source = reader.read(root, reader.options(), ReadSettings(decode.validation, scratch=root))
    rows = order_rows(source, decode.validation, "raise")
    packing.pack(rows, source.root, manifest, decode, root / ".store", shard_bytes=3_000_000)
    return len(rows)

decode = Decode(64, 32, strict=False, on_error="raise", check="structure", validation=Validation(0.1, 0))
tracemalloc.start()
for root in map(Path, sys.argv[2:]):
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    images = run(root, decode)
    print(images, tracemalloc.get_traced_memory()[1] - before + pa.default_memory_pool().max_memory())
"""


def plan(length: int) -> pd.DataFrame:
    """20 tracklets of 10 identities."""
    output = pd.DataFrame(
        {"identity": np.repeat(np.arange(1, 11), 2), "camera": [1, 2] * 10, "length": length}
    )
    return output.assign(query=output["camera"] == 1)


def write(reader: str, folder: Path, length: int) -> None:
    if reader == "mars":
        trees.write_mars(folder, {"train": plan(length), "test": plan(length)})
    else:
        trees.write_ls_vid(folder, {side: plan(length) for side in ("train", "val", "test")})


@pytest.mark.parametrize("reader", ["mars", "ls_vid"])
def test_memory_does_not_grow_with_the_images(tmp_path: Path, reader: str) -> None:
    for name, length in (("few", 40), ("many", 400)):
        write(reader, tmp_path / name, length)
    folders = [str(tmp_path / name) for name in ("few", "few", "many")]  # the first time also loads modules
    done = subprocess.run(
        [sys.executable, "-c", WORK, reader, *folders], capture_output=True, text=True, check=True
    )
    (few, less), (many, more) = (map(int, line.split()) for line in done.stdout.splitlines()[1:])
    assert many == 10 * few
    assert more - less < 20 * (many - few)  # bytes; a name alone takes as many

"""Stage ``decode``: one data set, camera videos or published pictures -> its tracklet store, and its views.

What was left out (``decode.on_error: skip``) is listed in ``metrics/skipped/``.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sttreid.config import paths
from sttreid.config.datasets import CAMERAS, FOOTAGE, Dataset, Decode
from sttreid.config.params import run
from sttreid.data.arrangement import arrange_published
from sttreid.data.decoding import decode_cameras
from sttreid.data.footage import read_videos
from sttreid.data.index import source, state
from sttreid.data.packing import pack
from sttreid.data.published import read_published
from sttreid.data.views import UNKNOWN, views
from sttreid.runtime.files import write_json, write_table
from sttreid.tracklets.store import Skipped, open_store


def main(name: str, datasets: dict[str, Dataset], decode: Decode) -> None:
    """Check the set, then decode every video once and store its crops, or pack its pictures."""
    dataset = datasets[name]
    folder, store = source(name, dataset), paths.tracklets(name)
    if dataset.reader in (CAMERAS, FOOTAGE):
        found = read_videos(folder, dataset, decode.validation)
        skipped = decode_cameras(found, decode.height, decode.width, store, decode.on_error)
    else:
        skipped = _pack(dataset, folder, state(name, dataset, folder), decode, store)
    known = views(open_store(store), folder) if dataset.reader == CAMERAS else UNKNOWN
    write_table(paths.views(name), known)
    write_json(paths.skipped(name), asdict(skipped))


def _pack(dataset: Dataset, folder: Path, taken: dict[str, Any], decode: Decode, store: Path) -> Skipped:
    store.parent.mkdir(parents=True, exist_ok=True)
    found = read_published(dataset, folder, decode.strict, scratch=store.parent)  # beside the shards
    for sentence in (*found.mismatches, *found.remarks):
        print(f"{found.name}: {sentence}", file=sys.stderr)
    made = arrange_published(found, decode.validation, decode.on_error)
    return pack(made, found.root, taken, decode, store)


if __name__ == "__main__":
    run(main)

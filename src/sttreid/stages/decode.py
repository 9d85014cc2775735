"""Stage ``decode``: one data set, camera videos or published images -> its tracklet store, and its views.

What is skipped (``decode.on_error: skip``) is listed in ``metrics/skipped/``.
"""

import sys
from dataclasses import asdict
from pathlib import Path

from sttreid.config import paths
from sttreid.config.datasets import Dataset, Decode
from sttreid.data.decoding import decode_videos
from sttreid.data.folder_manifest import dataset_folder, dataset_manifest
from sttreid.data.packing import pack
from sttreid.data.published.published_set import PublishedSet
from sttreid.data.reading import read_dataset
from sttreid.data.registry import ReadSettings
from sttreid.data.store_rows import order_rows
from sttreid.data.views import UNKNOWN, tracklet_views
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_json, write_table, writing
from sttreid.stages.command import run
from sttreid.tracklets.store import Skipped, open_store


def main(name: str, datasets: dict[str, Dataset], decode: Decode) -> None:
    """Check the set, then decode every video once and store its crops, or pack its images."""
    if name not in datasets:
        raise InputError(f"params.yaml: datasets must hold {name!r}, got {', '.join(datasets)}")
    folder, store = dataset_folder(name, datasets[name]), paths.tracklets(name)
    store.parent.mkdir(parents=True, exist_ok=True)
    settings = ReadSettings(  # scratch: on the disk of the store
        decode.validation, decode.strict, scratch=store.parent, on_error=decode.on_error
    )
    source = read_dataset(datasets[name], folder, settings)
    views = UNKNOWN
    if isinstance(source, PublishedSet):
        skipped = _pack(source, name, datasets[name], folder, decode, store)
    else:
        for sentence in (*source.remarks, *(f"warning: {text}" for text in source.warnings)):
            print(f"{source.name}: {sentence}", file=sys.stderr)
        skipped = decode_videos(source, decode.height, decode.width, store, decode.on_error, decode.decoder)
        if source.track_table:
            views = tracklet_views(open_store(store), source.track_table)
    with writing(store):
        write_table(paths.views(name), views)
        write_json(paths.skipped(name), asdict(skipped))


def _pack(
    published: PublishedSet, name: str, dataset: Dataset, folder: Path, decode: Decode, store: Path
) -> Skipped:
    for sentence in (*published.mismatches, *published.remarks):
        print(f"{published.name}: {sentence}", file=sys.stderr)
    rows = order_rows(published, decode.validation, decode.on_error)
    return pack(rows, published.root, dataset_manifest(name, dataset, folder), decode, store)


if __name__ == "__main__":
    run(main)

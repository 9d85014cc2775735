"""Stage ``decode``: one data set, camera videos or published pictures -> its tracklet store."""

import sys

from sttreid import paths
from sttreid.data.arrangement import arrange_published
from sttreid.data.decoding import decode_cameras
from sttreid.data.index import source, state
from sttreid.data.packing import pack
from sttreid.data.published import read_published
from sttreid.data.sources import read_cameras
from sttreid.datasets import CAMERAS, Dataset
from sttreid.params import Decode, run


def main(name: str, datasets: dict[str, Dataset], decode: Decode) -> None:
    """Check the set, then decode every video once and store its crops, or pack its pictures."""
    dataset, store = datasets[name], paths.tracklets(name)
    folder = source(name, dataset)
    if dataset.reader == CAMERAS:
        decode_cameras(read_cameras(folder), decode.height, decode.width, store)
        return
    found = read_published(dataset, folder, decode.strict)
    for sentence in found.mismatches:
        print(f"{found.name}: {sentence}", file=sys.stderr)
    made = arrange_published(found, decode.validation, decode.on_error)
    pack(made, found.root, state(name, dataset, folder), decode, store)


if __name__ == "__main__":
    run(main)

"""Stage ``decode``: one data set, camera videos or published pictures -> its tracklet store."""

from sttreid import paths
from sttreid.data.decoding import decode_cameras
from sttreid.data.index import source
from sttreid.data.sources import read_cameras
from sttreid.datasets import Dataset
from sttreid.params import Decode, run


def main(name: str, datasets: dict[str, Dataset], decode: Decode) -> None:
    """Check the tracks, decode every video once and store its crops."""
    folder = source(name, datasets[name])
    decode_cameras(read_cameras(folder), decode.height, decode.width, paths.tracklets(name))


if __name__ == "__main__":
    run(main)

"""Stage ``decode``: camera videos and tracks of one data set -> its tracklet store."""

from sttreid import paths
from sttreid.data.decoding import decode_cameras
from sttreid.data.sources import read_cameras
from sttreid.params import Dataset, Decode, run


def main(name: str, datasets: dict[str, Dataset], decode: Decode) -> None:
    """Check the tracks, decode every video once and store its crops."""
    source = read_cameras(datasets[name].root)
    decode_cameras(source, decode.height, decode.width, paths.tracklets(name))


if __name__ == "__main__":
    run(main)

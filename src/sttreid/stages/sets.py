"""Stage ``sets``: tracklet stores of the sets that studies share -> their sizes and checksums."""

from sttreid.config import paths
from sttreid.config.datasets import Dataset
from sttreid.runtime.files import write_json
from sttreid.runtime.provenance import checksums
from sttreid.stages.command import run
from sttreid.tracklets.store import open_store


def main(datasets: dict[str, Dataset]) -> None:
    """Count identities, tracklets and frames of each split; SHA-256 of each file of a store."""
    content = {}
    for name in datasets:
        folder = paths.tracklets(name)
        store = open_store(folder)
        table = store.tracklets
        splits = {
            str(split): {"identities": int(rows["identity"].nunique()), "tracklets": len(rows)}
            for split, rows in table.groupby("split", sort=False)
        }
        files = sorted(path for path in folder.iterdir() if path.is_file())
        content[name] = {"frames": len(store.frames), "splits": splits, "sha256": checksums(folder, files)}
    write_json(paths.publication() / "sets.json", content)


if __name__ == "__main__":
    run(main)

"""Two cameras, one tracklet of a person in each, official halves: what iLIDS-VID and PRID2011 share.

Half of the persons train; of the others, the first camera's tracklets ask and the second one's answer.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sttreid.data.readers.checks import Check, absent
from sttreid.data.readers.spool import Spool
from sttreid.data.readers.tracklets import FRAME, PERSON, Split
from sttreid.data.readers.trees import Tree, read_tree
from sttreid.runtime.errors import InputError


def check_index(path: Path, split: int, splits: int) -> None:
    """Raises InputError unless the split, counted from 1, exists."""
    if not 1 <= split <= splits:
        raise InputError(f"{path}: the split must be between 1 and {splits}, got {split}")


def read_pairs(
    spool: Spool,
    root: Path,
    cameras: Sequence[Path],
    train: Sequence[str],
    test: Sequence[str],
    pattern: str,
    example: str,
) -> tuple[list[pd.DataFrame], tuple[Check, ...]]:
    """The tracklets of both halves: those of the first camera, then those of the second.

    Args:
        spool: where their pictures go; it has the groups of the pattern.
        root: of the data set.
        cameras: the folders of camera 1 and camera 2.
        train: folder names of the training persons; their digits are the identity.
        test: those of the test persons.
        pattern: of a picture's name, with the group ``frame``; ``camera`` and ``identity`` are checked.
        example: a name that fits.

    Raises:
        InputError: a person's folder is missing at a camera, or a picture is misnamed or in the wrong place,
            or two of a tracklet are the same frame.
    """
    trees = {
        (half, number): _tree(spool, root, camera, persons, pattern, example)
        for half, persons in (("train", train), ("test", test))
        for number, camera in enumerate(cameras, 1)
    }
    empty = absent(
        "folders of tracklets without a picture", [f for tree in trees.values() for f in tree.empty]
    )
    return [_rows(tree, half, number) for (half, number), tree in trees.items()], (empty,)


def _tree(spool: Spool, root: Path, camera: Path, persons: Sequence[str], pattern: str, example: str) -> Tree:
    ordered = sorted(persons)
    for person in ordered:
        if not (camera / person).is_dir():
            raise InputError(f"{camera / person}: the split names this person, but the folder is missing")
    return read_tree(spool, root, [camera / person for person in ordered], pattern, example, FRAME)


def _rows(tree: Tree, half: str, camera: int) -> pd.DataFrame:
    digits = [re.sub(r"\D", "", Path(folder).name) for folder in tree.folders]
    identity = np.array(digits, np.str_).astype(np.int64)
    for field, expected in (("identity", identity), ("camera", np.full(len(identity), camera))):
        if field in tree.spool.fields:
            tree.must(field, expected)
    tree.must_differ(FRAME)
    split: Split = "train" if half == "train" else "test"
    rows = pd.DataFrame({"identity": identity, "camera": camera, "split": split})
    rows["start"], rows["length"] = tree.starts, tree.lengths
    rows["kind"], rows["folder"], rows["missing"] = PERSON, tree.folders, 0
    rows["query"] = split == "test" and camera == 1
    rows["gallery"] = split == "test" and camera == 2
    return rows


def split_counts(table: pd.DataFrame) -> dict[str, int]:
    """Identities of both halves, tracklets, queries and answers."""
    identities = table.groupby("split")["identity"].nunique()
    return {
        "training identities": identities.get("train", 0),
        "test identities": identities.get("test", 0),
        "tracklets": len(table),
        "queries": table["query"].sum(),
        "gallery tracklets": table["gallery"].sum(),
    }

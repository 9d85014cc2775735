"""Synthetic MARS and LS-VID with the official names, lists, indexes and counts, and other images.

A plan is one row per tracklet (identity, camera, length, query); a tree is a plan written to disk. An image
is a hard link to one of 120 small JPEGs, because a file takes about 65,000 links.
"""

import os
from itertools import chain
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pandas as pd
import scipy.io
from numpy.typing import NDArray
from PIL import Image

Ints = NDArray[np.int64]
JPEGS: Final = 120
MARS_CAMERAS: Final = (1_816, 1_957, 1_321, 750, 1_880, 574)  # training tracklets of each
LS_VID_ALONE: Final = (3_226, 3_274, 5_606, 10_681)  # queries without a match, rows from 1


def lengths(count: int, total: int, least: int, most: int, median: int) -> Ints:
    """So many lengths of a given sum, extremes and median (of both middle ones), ascending."""
    half = count // 2
    low = np.linspace(least, median, half).round().astype(np.int64)
    ramp = np.linspace(0, 1, count - half)
    bend, step = 1.0, 0.5  # of the upper half, by bisection: the more it bends, the smaller the sum
    for _ in range(60):
        high = (median + (most - median) * ramp**bend).astype(np.int64)
        bend, step = bend * (1 + step if low.sum() + high.sum() > total else 1 / (1 + step)), step * 0.9
    left = total - int(low.sum() + high.sum())
    each = np.zeros(len(high), np.int64)
    each[1:-1] = left // (len(high) - 2)
    each[1 : 1 + left % (len(high) - 2)] += 1
    return np.concatenate([low, high + each])


def mars_train() -> pd.DataFrame:
    """6 identities of one camera, 39 more with two tracklets, 580 with the rest."""
    few = np.concatenate([np.full(6, 1), np.tile([1, 2], 39)])
    rest = np.repeat(np.arange(1, 7), np.array(MARS_CAMERAS) - np.bincount(few, minlength=7)[1:])
    identity = np.concatenate([np.arange(6), np.repeat(np.arange(6, 45), 2), 45 + np.arange(len(rest)) % 580])
    plan = pd.DataFrame({"identity": 2 * identity + 1, "camera": np.concatenate([few, rest])})
    return _with_lengths(plan, lengths(len(plan), 509_914, 5, 900, 36))


def mars_test() -> pd.DataFrame:
    """70 identities with two queries, 556 with many tracklets in each of 3 or 4 cameras, 8 others."""
    pairs = [(2 * number, camera) for number in range(1, 71) for camera in (1, 2)]
    many = [
        (2 * number, camera) for number in range(71, 627) for camera in range(1, 5 if number < 243 else 4)
    ]
    others = [(2 * number, 5) for number in range(627, 635)]
    left = 8_062 - len(pairs) - len(others)
    rows = pairs + [many[index % len(many)] for index in range(left)] + others
    aside = [(-1, 1 + index % 6) for index in range(870)] + [(0, 1 + index % 6) for index in range(3_248)]
    plan = pd.DataFrame(aside + rows, columns=["identity", "camera"])
    plan["query"] = ~plan.duplicated() & (plan["identity"] > 0) & (plan["identity"] <= 2 * 626)
    short = np.concatenate([[1, 2, 3], 4 + np.arange(206) % 4])
    rest = len(plan) - len(short)
    result = np.concatenate([short, lengths(rest, 681_089 - int(short.sum()), 8, 920, 36)])
    return _with_lengths(plan, result)


def ls_vid(split: str) -> pd.DataFrame:
    """Training: 842 identities, 2,831 tracklets; val: 200 and 779; test: 2,730 and 11,333."""
    identities, count, total, queries = {
        "train": (842, 2_831, 556_000, 0),
        "val": (200, 779, 149_610, 252),
        "test": (2_730, 11_333, 2_277_075, 3_504),
    }[split]
    identity = np.sort(np.arange(count) % identities)
    turn = np.arange(count) - np.searchsorted(identity, identity)  # a person's tracklets, from 0
    plan = pd.DataFrame({"identity": identity, "camera": 1 + (identity + turn) % 15})
    if split == "test":
        for row in LS_VID_ALONE:  # everyone of this identity before one camera
            subset = plan["identity"] == plan["identity"][row - 1]
            plan.loc[subset, "camera"] = plan["camera"][row - 1]
    alone = plan.groupby("identity")["camera"].transform("nunique") == 1
    can = np.flatnonzero(~alone & ~plan[["identity", "camera"]].duplicated())
    requested = can[np.linspace(0, len(can) - 1, queries - 4 if split == "test" else queries).astype(int)]
    plan["query"] = False
    plan.loc[requested, "query"] = True
    if split == "test":
        plan.loc[[row - 1 for row in LS_VID_ALONE], "query"] = True
    return _with_lengths(plan, lengths(count, total, 60, 2_533 if split == "test" else 1_500, 150))


def _with_lengths(plan: pd.DataFrame, result: Ints) -> pd.DataFrame:
    """The lengths in an order that has nothing to do with the identities."""
    return plan.assign(length=np.random.default_rng(0).permutation(result))


def write_mars(folder: Path, plans: dict[str, pd.DataFrame]) -> int:
    """Write the tree of two plans, "train" and "test"; the number of its images."""
    links = Links(folder / "jpegs")
    (folder / "MARS" / "info").mkdir(parents=True)
    for side, unsorted in plans.items():
        plan = unsorted.sort_values("identity", kind="stable", ignore_index=True)  # the lists are sorted
        track = plan.groupby("identity").cumcount() + 1
        who = ["00-1" if identity < 0 else f"{identity:04d}" for identity in plan["identity"]]
        stems = [f"{w}C{c}T{t:04d}" for w, c, t in zip(who, plan["camera"], track, strict=True)]
        first = 1 + (np.arange(len(plan)) % 7 == 3)  # some tracklets do not start at 1
        names = [
            [f"{stem}F{frame:03d}.jpg" for frame in range(start, start + length)]
            for stem, start, length in zip(stems, first.tolist(), plan["length"].tolist(), strict=True)
        ]
        top = folder / "MARS" / f"bbox_{side}"
        for item in sorted(set(who)):
            (top / item).mkdir(parents=True)
        for item, subset in zip(who, names, strict=True):
            links.make(top / item, subset)
        text = "\r\n".join(chain.from_iterable(names)) + "\r\n"
        (folder / "MARS" / "info" / f"{side}_name.txt").write_text(text, newline="")
        _write_mars_index(folder / "MARS" / "info", side, plan)
    return links.made


def _write_mars_index(info: Path, side: str, plan: pd.DataFrame) -> None:
    end = plan["length"].cumsum()
    table = np.stack([end - plan["length"] + 1, end, plan["identity"], plan["camera"]], 1)
    scipy.io.savemat(info / f"tracks_{side}_info.mat", {f"track_{side}_info": table.astype(np.int32)})
    if "query" in plan:
        rows = np.flatnonzero(plan["query"]) + 1
        scipy.io.savemat(info / "query_IDX.mat", {"query_IDX": rows.astype(np.uint16)[None]})


def write_ls_vid(folder: Path, plans: dict[str, pd.DataFrame]) -> int:
    """Write the tree of three plans, "train", "val" and "test"; the number of its images."""
    links = Links(folder / "jpegs")
    root = folder / "LS-VID"
    for folder_name in ("list_sequence", "test/data"):
        (root / folder_name).mkdir(parents=True)
    for side, plan in plans.items():
        lines = []
        for row, (identity, camera, length) in enumerate(
            zip(plan["identity"].tolist(), plan["camera"].tolist(), plan["length"].tolist(), strict=True)
        ):
            target, stem = (
                f"tracklet_{side}/{identity:04d}",
                f"{identity:04d}_{row:05d}_{camera}_{row % 97:04d}",
            )
            (root / target).mkdir(parents=True, exist_ok=True)
            links.make(root / target, [f"{stem}_{frame:06d}.jpg" for frame in range(1, length + 1)])
            lines.append(f"{target}/{stem} {identity}\n")
        (root / "list_sequence" / f"list_seq_{side}.txt").write_text("".join(lines))
        _write_ls_vid_index(root / "test" / "data", side, plan)
    return links.made


def _write_ls_vid_index(data: Path, side: str, plan: pd.DataFrame) -> None:
    end = plan["length"].cumsum()
    table = np.stack([end - plan["length"] + 1, end, plan["identity"], plan["camera"]])
    rows = (np.flatnonzero(plan["query"]) + 1)[None]
    if side == "val":
        scipy.io.savemat(data / "info_val.mat", {"info_val": table.T, "query": rows.T})
    elif side == "test":
        with h5py.File(data / "info_test.mat", "w", userblock_size=512) as file:
            file["info_test"], file["query"] = table.astype(float), rows.astype(float)


class Links:
    """Hard links to a few JPEGs, in turn.

    Attributes:
        made: how many links.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        self.made = 0
        self._jpegs = [folder / f"{number}.jpg" for number in range(JPEGS)]
        for path in self._jpegs:
            coarse = Image.fromarray(rng.integers(0, 255, (8, 4, 3), np.uint8))
            coarse.resize((64, 128)).save(path, quality=85)

    def make(self, folder: Path, names: list[str]) -> None:
        """An image of each name in the folder."""
        for name in names:
            os.link(self._jpegs[self.made % JPEGS], f"{folder}/{name}")
            self.made += 1

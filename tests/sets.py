"""Tiny copies of published data sets, in their exact formats. Every image is the same small JPEG or PNG."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray
from PIL import Image

from sttreid.data.published.published_set import PublishedSet


def encoded(kind: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 16), (90, 140, 60)).save(content, kind)
    return content.getvalue()


IMAGES = {".jpg": encoded("JPEG"), ".png": encoded("PNG")}

# identity, camera, track, first frame, images; the lists are sorted as texts, so F1000 precedes F998
MARS_TRAIN = [(3, 1, 1, 1, 3), (3, 2, 2, 2, 2), (7, 1, 1, 1, 4), (7, 6, 9, 1, 1), (12, 3, 1, 998, 4)]
MARS_TEST = [
    (-1, 1, 1, 1, 2),
    (-1, 2, 2, 1, 1),
    (0, 4, 1, 1, 3),
    (0, 1, 2, 5, 1),
    (2, 1, 1, 1, 2),
    (2, 5, 2, 1, 8),
    (4, 3, 4, 1, 2),
    (4, 3, 6, 1, 1),
    (4, 6, 7, 1, 9),
    (6, 2, 1, 1, 2),
]
MARS_QUERIES = [5, 6, 7, 9]  # rows, from 1

# identity, camera, numbers of the frames, how its names begin
LS_TRAIN = [
    (5, 3, [1, 2, 3], "0005_0001_3_0001"),
    (5, 15, [8, 9, 10], "0005_0002_15_0001"),
    (2, 1, [4, 5, 6, 7], "0002_0001_1_0007"),
]
LS_VAL = [
    (1, 2, [1, 2], "0001_0001_2_0001"),
    (1, 4, [1], "0001_0002_4_0001"),
    (3, 4, [3, 4], "0003_0001_4_0001"),
    (3, 5, [3], "0003_0001_5_0001"),
]
LS_TEST = [
    (0, 1, [1, 2, 3], "0000_0001_1_0001"),
    (0, 2, [98, 99, 100, 101], "0000_0002_2_0001"),
    (1, 1, [1, 2], "0001_0003_1_0001"),
    (2, 15, [7], "0002_0001_15_0001"),
    (2, 3, [1, 2], "0002_0001_3_00"),  # the next line's names begin so too
    (2, 3, [5, 6], "0002_0001_3_0012"),
]
LS_QUERIES = {"val": [1, 4], "test": [1, 3, 4]}

# side, identity, tracklet, camera, mark, [(place, frame)]
DUKE = [
    ("train", 1, 1, 6, "X", [(1, 30811), (2, 30823), (3, 30835)]),
    ("train", 1, 2, 2, "X", [(2, 100), (3, 112)]),
    ("train", 30, 1, 8, "X", [(1, 1)]),
    ("query", 2, 4, 1, "X", [(1, 50), (2, 62)]),
    ("query", 5, 1, 3, "X", [(9, 10), (10, 22)]),
    ("gallery", 2, 4, 1, "X", [(1, 50), (2, 62)]),
    ("gallery", 2, 5, 7, "X", [(1, 9), (2, 21), (4, 45)]),
    ("gallery", 5, 1, 3, "X", [(9, 10), (10, 22)]),
    ("gallery", 5, 2, 4, "X", [(1, 7)]),
    ("gallery", 7000, 1, 5, "D", [(1, 3), (2, 15)]),
]

PERSONS = (1, 2, 5, 10, 11, 319)  # of iLIDS-VID
PAIRS = (1, 2, 3, 4, 200, 7, 9, 11)  # of PRID2011; 9 and 11 are in no split


def frames(result: PublishedSet) -> list[int]:
    """The numbers of all images, tracklet after tracklet."""
    return [number for row in range(len(result.table)) for number in result.frame_numbers(row).tolist()]


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(IMAGES[path.suffix])


def mars_name(identity: int, camera: int, track: int, frame: int) -> str:
    return f"{'00-1' if identity < 0 else f'{identity:04d}'}C{camera}T{track:04d}F{frame:03d}.jpg"


def mars(folder: Path, end: str = "\n", train: list = MARS_TRAIN, test: list = MARS_TEST) -> Path:
    root = folder / "MARS"
    (root / "info").mkdir(parents=True)
    for side, plan in (("train", train), ("test", test)):
        names, table = [], []
        for identity, camera, track, first, length in plan:
            subset = [mars_name(identity, camera, track, frame) for frame in range(first, first + length)]
            table.append([len(names) + 1, len(names) + length, identity, camera])
            names += sorted(subset)
        for name in names:
            put(root / f"bbox_{side}" / name[:4] / name)
        (root / "info" / f"{side}_name.txt").write_bytes("".join(name + end for name in names).encode())
        content = {f"track_{side}_info": np.array(table, np.int32)}
        scipy.io.savemat(root / "info" / f"tracks_{side}_info.mat", content)
    write_queries(root, MARS_QUERIES)
    return root


def write_queries(root: Path, rows: Sequence[int]) -> None:
    scipy.io.savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([rows], np.uint16)})


def ls_vid(folder: Path, layout: str = "test/data", validation: bool = True, digits: int = 1) -> Path:
    """Layout "test/data", "info" or "npy"; frame numbers are padded to some digits."""
    root = folder / "LS-VID"
    lists = root / ("info/list_sequence" if layout == "info" else "list_sequence")
    data = root / {"test/data": "test/data", "info": "info/data", "npy": "test"}[layout]
    lists.mkdir(parents=True)
    data.mkdir(parents=True)
    plans = {"train": LS_TRAIN, "val": LS_VAL, "test": LS_TEST}
    for side, plan in plans.items():
        if side == "val" and not validation:
            continue
        lines = []
        for identity, _, frames, stem in plan:
            target = f"tracklet_{side}/{identity:04d}"
            lines.append(f"{target}/{stem} {identity}\n")
            for frame in frames:
                put(root / target / f"{stem}_{frame:0{digits}d}.jpg")
        (lists / f"list_seq_{side}.txt").write_text("".join(lines))
        if side == "test" or (side == "val" and layout != "npy"):
            write_index(data, side, ls_table(plan), LS_QUERIES[side], npy=layout == "npy")
    return root


def ls_table(plan: list) -> NDArray[np.float64]:
    end = np.cumsum([len(frames) for _, _, frames, _ in plan])
    start = end - [len(frames) for _, _, frames, _ in plan] + 1
    return np.array([start, end, [row[0] for row in plan], [row[1] for row in plan]], float).T


def write_index(data: Path, side: str, table: NDArray, queries: Sequence[int], npy: bool = False) -> None:
    """MATLAB 5 for val, 7.3 (HDF5 after a block of 512 bytes) for test, or NumPy files."""
    rows = np.array(queries, float)
    if npy:
        np.save(data / f"info_{side}.npy", table)
        np.save(data / "query.npy", rows[None])
    elif side == "val":
        scipy.io.savemat(data / "info_val.mat", {"info_val": table.astype(np.int32), "query": rows[:, None]})
    else:
        with h5py.File(data / "info_test.mat", "w", userblock_size=512) as file:
            file["info_test"], file["query"] = table.T, rows[None]
        with (data / "info_test.mat").open("r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def duke_name(identity: int, camera: int, mark: str, index: int, frame: int, older: bool = False) -> str:
    between = "" if older else "_"
    return between.join((f"{identity:04d}", f"C{camera}", f"F{index:04d}", f"{mark}{frame}")) + ".jpg"


def duke(folder: Path, older: bool = False, plan: list = DUKE) -> Path:
    root = folder / ("dukemtmc_videoReID" if older else "DukeMTMC-VideoReID")
    for side, identity, tracklet, camera, mark, images in plan:
        target = root / f"{side}{'_split' if older else ''}" / f"{identity:04d}" / f"{tracklet:04d}"
        for number, frame in images:
            put(target / duke_name(identity, camera, mark, number, frame, older))
    return root


def ilids_splits() -> NDArray[np.uint16]:
    rng = np.random.default_rng(0)
    return np.stack([1 + rng.permutation(len(PERSONS)) for _ in range(10)]).astype(np.uint16)


def ilids(folder: Path, inner: bool = True) -> Path:
    """inner: sequences and splits are both in i-LIDS-VID, instead of splits next to it."""
    root = folder / "iLIDS"
    top = root / "i-LIDS-VID"
    for camera in (1, 2):
        for person in PERSONS:
            for frame in range(9 + person % 3, 12):
                name = f"cam{camera}_person{person:03d}_{frame:05d}.png"
                put(top / "sequences" / f"cam{camera}" / f"person{person:03d}" / name)
    target = (top if inner else root) / "train-test people splits"
    target.mkdir()
    scipy.io.savemat(target / "train_test_splits_ilidsvid.mat", {"ls_set": ilids_splits()})
    return root


def prid_splits() -> list[dict[str, list[str]]]:
    used = [f"person_{person:04d}" for person in PAIRS[:6]]
    rng = np.random.default_rng(1)
    orders = [[used[index] for index in rng.permutation(6)] for _ in range(10)]
    return [{"train": order[:3], "test": order[3:]} for order in orders]


def prid(folder: Path, inner: bool = True) -> Path:
    root = folder / "prid2011"
    for camera in "ab":
        for person in PAIRS:
            target = root / ("prid_2011" if inner else "") / "multi_shot" / f"cam_{camera}"
            for frame in range(1, 3 + person % 2):
                put(target / f"person_{person:04d}" / f"{frame:04d}.png")
    (root / "splits_prid2011.json").write_text(json.dumps(prid_splits()))
    return root


# scene, version, person, camera, frames
UNREAL = [
    (1, 1, 7, 1, [9, 10, 78, 100]),
    (2, 1, 7, 1, [5]),
    (1, 2, 7, 1, [1, 11]),
    (3, 1, 333, 16, [2, 3]),
]


def unreal(folder: Path, plan: list = UNREAL) -> Path:
    root = folder / "unreal"
    for scene, version, person, camera, frames in plan:
        for frame in frames:
            put(root / f"unreal_v{scene}.{version}" / "images" / f"{person}_c{camera:03d}_{frame}.jpg")
    return root


def unreal_video(folder: Path) -> Path:
    root = folder / "unreal_videos"
    for tracklet, person, camera, frames in ((1, 4, 2, [9, 10, 100]), (2, 4, 3, [1]), (10, 12, 2, [5, 6])):
        for frame in frames:
            extra = "_day" if frame % 2 else ""
            put(root / str(tracklet) / f"{person}_c{camera}_F{frame}{extra}_-3_20_45_118.jpg")
    return root


def litter(root: Path) -> Path:
    """Put into every folder what file managers, archives and servers leave there."""
    for folder in (root, *[path for path in root.rglob("*") if path.is_dir()]):
        names = [path.name for path in folder.iterdir()]
        for name in ("Thumbs.db", "desktop.ini", ".DS_Store", *[f"._{name}" for name in names]):
            (folder / name).write_bytes(b"x")
        for name in ("@eaDir", "__MACOSX", ".AppleDouble", "#recycle"):
            for inside in names or ["x"]:
                target = folder / name / inside
                target.mkdir(parents=True)
                (target / f"0001{target.suffix}").write_bytes(b"x")
    return root


WRITERS: dict[str, Callable[[Path], Path]] = {  # reader -> writes a tiny copy of its published set
    "mars": mars,
    "duke_video": duke,
    "ls_vid": ls_vid,
    "ilids_vid": ilids,
    "prid2011": prid,
    "unreal_person": unreal,
}

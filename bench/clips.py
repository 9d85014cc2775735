"""Reading and augmenting clips: `python -m bench.clips`.

The same random frames lie in a tracklet store and as JPEG files of their size, as other repositories of this
field keep them. All is in the page cache; everything runs in one thread.

The augmentation of the default parameters is compared with the same steps (mirror, gamma, brightness, white
balance, contrast, saturation, shift, normalisation, erasing) made with PIL frame by frame, in an order that
saves PIL work: one table for gamma, brightness and white balance.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from bench.costs import per_call
from bench.figures import Figure, at_least, command_line, compared, show
from sttreid.config.params import Augment, load
from sttreid.tracklets import clips
from sttreid.tracklets.clips import MEAN, STD, Change, restricted_random
from sttreid.tracklets.store import Store, write_store

IDENTITIES, LENGTH = 16, 20  # identities of two tracklets each, frames of a tracklet
SIZES: Final = ((256, 128, 8), (64, 32, 4))  # height, width, T: the paper's and the default
LOADING: Final = 50.0  # times the speed of PIL
AUGMENTATION: Final = {256: 2.0, 64: 6.0}

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def random_images(folder: Path, height: int, width: int) -> Store:
    """A store of random, smooth images, and the same frames as JPEG files in the same folder."""
    rng = np.random.default_rng(0)
    rows, crops = [], []
    for tracklet in range(2 * IDENTITIES):
        for frame in range(1, LENGTH + 1):
            rows.append((tracklet, tracklet // 2, tracklet % 2, frame, "train", 1.0))
            coarse = Image.fromarray(rng.integers(0, 256, (8, 4, 3), dtype=np.uint8))
            crop = coarse.resize((width, height), Image.Resampling.BICUBIC)
            crop.save(folder / f"{len(crops)}.jpg", quality=95)
            crops.append(np.asarray(crop))
    columns = ["tracklet", "identity", "camera", "frame", "split", "visibility"]
    index = pd.DataFrame(rows, columns=columns)
    return write_store(folder / "store", index, enumerate(crops), height, width)


def read_pil(paths: Sequence[Path]) -> Pixels:
    frames = []
    for path in paths:
        with Image.open(path) as image:
            frames.append(np.asarray(image.convert("RGB")))
    return np.stack(frames)


def read_cv2(paths: Sequence[Path]) -> Pixels:
    return np.stack([cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths])


def apply_pil(clip: Pixels, change: Change, out: Floats) -> None:
    """A change frame by frame; same shapes as :func:`sttreid.tracklets.clips.apply`."""
    height, width = clip.shape[1:3]
    levels = np.arange(256) / 255
    tables = [255 * change.brightness * gain * levels**change.gamma for gain in change.gains.tolist()]
    table = np.concatenate(tables).round().clip(0, 255).astype(int).tolist()
    for pixels, x in zip(clip, out, strict=True):
        image = Image.fromarray(pixels)
        if change.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image = image.point(table)
        image = ImageEnhance.Contrast(image).enhance(change.contrast)
        image = ImageEnhance.Color(image).enhance(change.saturation)
        shifted = Image.new("RGB", (width, height), (124, 116, 104))
        shifted.paste(image, (change.right, change.down))
        array = np.asarray(shifted, np.float32).transpose(2, 0, 1) / np.float32(255)
        x[:] = (array - MEAN[:, None, None]) / STD[:, None, None]
        top, bottom, left, right = change.hole
        x[:, top:bottom, left:right] = 0


def rounds_of(works: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """[works, rounds] CPU seconds per call, in turn."""
    return np.transpose([[per_call(work) for work in works] for _ in range(rounds)]).tolist()


def speeds(seconds: Sequence[float]) -> list[float]:
    return [1 / each for each in seconds]


def loading(store: Store, folder: Path, frames: int, rounds: int) -> Iterator[Figure]:
    """Clips read from the store beside the same frames as JPEG files."""
    rng, table = np.random.default_rng(0), store.tracklets
    rows = [
        int(row.start) + restricted_random(int(row.length), frames, rng) for row in table.itertuples()
    ] * 2
    files = [[folder / f"{number}.jpg" for number in row] for row in rows]
    turn = {"store": 0, "PIL": 0, "cv2": 0}

    def following(name: str) -> int:
        turn[name] = (turn[name] + 1) % len(rows)
        return turn[name]

    def from_store() -> Pixels:
        return store.frames[rows[following("store")]]

    def from_pil() -> Pixels:
        return read_pil(files[following("PIL")])

    def from_cv2() -> Pixels:
        return read_cv2(files[following("cv2")])

    ours, *others = rounds_of((from_store, from_pil, from_cv2), rounds)
    height, width = store.frames.shape[1:3]
    what = f"read a clip of {frames} x {height} x {width}"
    for name, seconds, target in zip(("PIL", "cv2"), others, (at_least(LOADING), None), strict=True):
        yield compared(what, "clips per CPU-s", speeds(ours), f"JPEG by {name}", speeds(seconds), target)


def augmentation(store: Store, settings: Augment, frames: int, rounds: int) -> Iterator[Figure]:
    """One clip after another, each with a change of its own."""
    height, width = store.frames.shape[1:3]
    clip: Pixels = np.array(store.frames[:frames])
    out = np.empty((frames, 3, height, width), np.float32)
    streams = [np.random.default_rng(0) for _ in range(2)]

    def ours() -> None:
        clips.augment(clip, settings, streams[0], out)

    def pil() -> None:
        apply_pil(clip, clips.draw(settings, height, width, streams[1]), out)

    mine, other = rounds_of((ours, pil), rounds)
    what = f"augment a clip of {frames} x {height} x {width}"
    target = at_least(AUGMENTATION[height]) if height in AUGMENTATION else None
    yield compared(what, "clips per CPU-s", speeds(mine), "PIL per frame", speeds(other), target)


def figures(sizes: Sequence[tuple[int, int, int]] = SIZES, rounds: int = 5) -> Iterator[Figure]:
    """What docs/performance.md quotes."""
    settings = load().augment
    cv2.setNumThreads(1)
    for height, width, frames in sizes:
        with tempfile.TemporaryDirectory() as name:
            store = random_images(Path(name), height, width)
            yield from loading(store, Path(name), frames, rounds)
            yield from augmentation(store, settings, frames, rounds)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = command_line("clips", __doc__, figures)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(words)
    show(figures(rounds=given.rounds))


if __name__ == "__main__":
    main()

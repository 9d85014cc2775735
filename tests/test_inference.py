"""The public API: a model, one tracklet, a store."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFile

import sttreid
from sttreid.embedding import embed_tracklets
from sttreid.inference import images_of
from sttreid.model.network import Network
from sttreid.model.weights import save
from sttreid.search import strips
from sttreid.search.videos import refer_to
from sttreid.tracklets.store import Store
from tests.sections import HEIGHT, MODEL, WIDTH, small_network

TOLERANCE = 1e-5  # of features of length 1, in single precision, whatever the batches


@pytest.fixture
def model(tmp_path: Path) -> Network:
    save(small_network(), MODEL, tmp_path / "model.pt")
    return sttreid.load_model(tmp_path / "model.pt")


def test_weights_alone_take_their_architecture_from_another_model(model: Network, tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "field.pth")
    loaded = sttreid.load_model(tmp_path / "field.pth", like=tmp_path / "model.pt")
    again = sttreid.load_model(tmp_path / "field.pth", like=tmp_path / "model.pt")
    assert refer_to(loaded, "field") == refer_to(again, "field")  # or galleries could not be compared
    assert not loaded.training
    assert all(
        torch.equal(value, state[f"module.{name}"])
        for name, value in loaded.state_dict().items()
        if not name.endswith("classifier.weight")
    )


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_model_whose_weights_are_not_finite_is_refused(
    value: float, model: Network, tmp_path: Path
) -> None:
    name = "backbone.conv1.weight"
    with torch.no_grad():
        model.state_dict()[name][1, 0, 0] = value
    save(model, MODEL, tmp_path / "broken.pt")
    with pytest.raises(sttreid.InputError, match=rf"broken\.pt: .*'{name}' must be finite, got {value}"):
        sttreid.load_model(tmp_path / "broken.pt")


def tracklet(store: Store, number: int) -> NDArray[np.uint8]:
    row = store.tracklets.iloc[number]
    return store.frames[row["start"] : row["start"] + row["length"]]


def files(images: NDArray[np.uint8], folder: Path) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


def folder(images: NDArray[np.uint8], path: Path) -> str:
    files(images, path)
    (path / "notes.txt").write_text("no image")
    return str(path)


FORMS: dict[str, Callable[[NDArray[np.uint8], Path], Any]] = {
    "array": lambda images, _: images,
    "arrays": lambda images, _: list(images),
    "PIL images": lambda images, _: [Image.fromarray(image) for image in images],
    "files": files,
    "folder": folder,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_tracklet_gets_the_feature_that_the_pipeline_gives_it(
    form: str, model: Network, store: Store, tmp_path: Path
) -> None:
    features = embed_tracklets(model, store, store.tracklets, 5, flip=True).numpy()
    for number in (0, 7):
        feature = sttreid.embed(model, FORMS[form](tracklet(store, number), tmp_path))
        assert feature.dtype == np.float32
        assert np.linalg.norm(feature) == pytest.approx(1, abs=TOLERANCE)
        np.testing.assert_allclose(feature, features[number], atol=TOLERANCE)


def test_images_of_a_folder_come_in_the_order_of_their_numbers(
    model: Network, store: Store, tmp_path: Path
) -> None:
    images = np.concatenate([tracklet(store, number) for number in range(3)])
    assert len(images) > 10
    assert images_of(Path(folder(images, tmp_path))) == files(images, tmp_path)
    np.testing.assert_array_equal(sttreid.embed(model, tmp_path), sttreid.embed(model, images))
    (tmp_path / "none").mkdir()
    with pytest.raises(sttreid.InputError, match="at least 1 image"):
        sttreid.embed(model, tmp_path / "none")


def test_images_of_any_size_are_resized_as_crops_are(model: Network) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3 * HEIGHT, 2 * WIDTH, 3)).astype(np.uint8)
    small = Image.fromarray(image).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    mixed = [image, image[: 2 * HEIGHT], small]
    resized = [small, Image.fromarray(mixed[1]).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR), small]
    np.testing.assert_array_equal(sttreid.embed(model, mixed), sttreid.embed(model, resized))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_upright_however_the_phone_was_held(
    orientation: int, model: Network, tmp_path: Path
) -> None:
    upright = np.zeros((4 * HEIGHT, 2 * WIDTH, 3), np.uint8)
    upright[: 2 * HEIGHT], upright[:, :WIDTH, 2] = (200, 40, 40), 255
    turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]  # quarters to the left, which the viewer takes back
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(np.rot90(upright, turns))
    Image.fromarray(stored).save(tmp_path / "p.jpg", quality=95, subsampling=0, exif=exif)
    expected = sttreid.embed(model, [upright])
    with Image.open(tmp_path / "p.jpg") as image:
        for given in (image, tmp_path / "p.jpg"):
            assert expected @ sttreid.embed(model, [given]) > 0.999
    with Image.open(io.BytesIO(strips.join_files([tmp_path / "p.jpg"]))) as strip:
        shown = np.asarray(strip).astype(int)
    assert shown[10, 40, 0] > 150 > shown[80, 40, 0]  # the red part is above


@pytest.mark.parametrize("form", ["file", "PIL image"])
def test_an_image_of_16_bits_is_refused_unless_8_hold_its_values(
    form: str, model: Network, tmp_path: Path
) -> None:
    """Pillow shows all values beyond 255 white."""
    dark = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint16)
    for factor in (1, 200):
        Image.fromarray(factor * dark).save(tmp_path / "thermal.png")
        with Image.open(tmp_path / "thermal.png") as image:
            given = [image] if form == "PIL image" else [tmp_path / "thermal.png"]
            if factor == 1:
                grey = np.repeat(dark.astype(np.uint8)[:, :, None], 3, axis=2)
                assert sttreid.embed(model, given) @ sttreid.embed(model, [grey]) > 0.9999
            else:
                with pytest.raises(sttreid.InputError, match="8 bits"):
                    sttreid.embed(model, given)


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ([], "at least 1 image"),
        ([np.zeros((4, 4), np.uint8)], r"image 0 .*\(4, 4\)"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3))], "image 1 .*float64"),
        (["nowhere.png"], "nowhere.png"),
        ("nowhere.png", "nowhere.png"),
    ],
)
def test_what_is_no_image_is_named(images: list[Any], told: str, model: Network) -> None:
    with pytest.raises(sttreid.InputError, match=told):
        sttreid.embed(model, images)


@pytest.mark.parametrize("form", ["file", "image"])
@pytest.mark.parametrize("low", [0.0, -1, 300])
def test_an_image_of_other_values_than_8_bits_is_refused(
    low: float, form: str, model: Network, tmp_path: Path
) -> None:
    """Pillow would show it black or white: an image of fractions is mostly one from 0 to 1."""
    values = np.full((HEIGHT, WIDTH), low, np.float32 if isinstance(low, float) else np.int32)
    values[0] = 1
    image = Image.fromarray(values)
    image.save(tmp_path / "a.png", "TIFF")
    place, given = (r"a\.png", tmp_path / "a.png") if form == "file" else ("image 0", image)
    with pytest.raises(sttreid.InputError, match=f"{place}: .*8 bits"):
        sttreid.embed(model, [given])


def test_an_image_that_pillow_cannot_decode_is_named(model: Network, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    closed = Image.new("RGB", (4, 4))
    closed.close()
    premultiplied = Image.new("LA", (4, 4)).convert("La")
    with Image.open(path) as cut:
        for image in (cut, closed, premultiplied):
            with pytest.raises(sttreid.InputError, match=r"image 0: .*decoded"):
                sttreid.embed(model, [image])


@pytest.mark.parametrize("images", [{"a.png"}, frozenset({"a.png"}), {"a.png": 1}])
def test_images_without_an_order_are_refused(images: Any, model: Network) -> None:
    with pytest.raises(sttreid.InputError, match=r"images must be a sequence.*a\.png"):
        sttreid.embed(model, images)


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"batch": 2.5}, {"batch": True}, {"batch": "8"}, {"precision": "fp16"}]
)
def test_options_of_an_embedding_are_checked(
    options: dict[str, Any], model: Network, store_folder: Path
) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(sttreid.InputError, match=f"{name} must .*got {value!r}"):
        sttreid.embed_store(model, sttreid.open_store(store_folder), **options)


@pytest.mark.parametrize("form", ["PNG", "GIF"])  # the header tells what is in a file, not its name
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(
    form: str, model: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sttreid.inference, "PIXELS", 6 * HEIGHT * WIDTH)
    path = tmp_path / "large.png"
    for height, fits in ((2 * HEIGHT, True), (2 * HEIGHT + 1, False)):
        pixels = np.zeros((height, 3 * WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(path, form)
        if fits:
            assert np.isfinite(sttreid.embed(model, [path, pixels, Image.fromarray(pixels)])).all()
            continue
        monkeypatch.setattr(ImageFile.ImageFile, "load", None)  # decoding would fail otherwise
        with Image.open(path) as image:
            for given in (path, pixels, image):
                told = f"{3 * WIDTH} x {height}"
                with pytest.raises(sttreid.InputError, match=f"pixels.*{told}"):
                    sttreid.embed(model, [given])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(60_000_000, 1), (13_000, 13_000), (20_000, 20_000)])
def test_a_header_that_promises_a_huge_image_is_refused(
    size: tuple[int, int], model: Network, tmp_path: Path
) -> None:
    content = io.BytesIO()
    Image.new("L", (8, 8)).save(content, "PNG")
    header = b"IHDR" + struct.pack(">II", *size) + content.getvalue()[24:29]
    whole = content.getvalue()[:12] + header + struct.pack(">I", zlib.crc32(header)) + content.getvalue()[33:]
    (tmp_path / "a.png").write_bytes(whole)
    with pytest.raises(sttreid.InputError, match=r"a\.png"):
        sttreid.embed(model, [tmp_path / "a.png"])


def test_a_store_is_embedded_and_evaluated(model: Network, store_folder: Path) -> None:
    store = sttreid.open_store(str(store_folder))
    table = store.gallery()
    features = sttreid.embed_store(model, store, table)
    assert features.shape[0] == len(table)
    labels = sttreid.Labels(table["identity"], table["camera"])
    rules = sttreid.protocol("embedded")
    direct = sttreid.evaluate(features, features, labels, labels, rules)
    assert sttreid.evaluate_store(model, store, "embedded").numbers() == direct.numbers()
    assert sttreid.evaluate_store(model, store, rules).numbers() == direct.numbers()
    assert len(sttreid.embed_store(model, store)) == len(store.tracklets)


def test_a_store_of_another_image_size_is_refused(tmp_path: Path, store: Store) -> None:
    network = Network(MODEL, 3, 2 * HEIGHT, 2 * WIDTH, 5)
    with pytest.raises(sttreid.InputError, match=f"{2 * HEIGHT}x{2 * WIDTH}.*{HEIGHT}x{WIDTH}"):
        sttreid.embed_store(network, store)


def test_any_path_like_object_is_a_path(store_folder: Path) -> None:
    with os.scandir(store_folder.parent) as entries:
        (entry,) = (each for each in entries if each.name == store_folder.name)
    assert len(sttreid.open_store(entry).frames) == len(sttreid.open_store(store_folder).frames)  # type: ignore[arg-type]


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"none")
    with pytest.raises(sttreid.InputError, match=r"model\.pt"):
        sttreid.load_model(tmp_path / "model.pt")


@pytest.mark.parametrize("given", [3, b"model.pt", "x" * 6000, "folder/" * 1000])
def test_what_is_no_path_is_refused(given: Any, model: Network) -> None:
    def like(path: Any) -> Any:
        return sttreid.load_model("model.pt", like=path)

    def images(path: Any) -> Any:
        return sttreid.embed(model, path)

    for call in (sttreid.load_model, like, sttreid.open_store, images):
        if call is images and isinstance(given, bytes):
            continue  # a sequence, whose items are refused
        with pytest.raises(sttreid.InputError) as problem:
            call(given)
        assert len(str(problem.value)) < 2100
    with pytest.raises(sttreid.InputError):
        sttreid.open_store(None)  # type: ignore[arg-type]

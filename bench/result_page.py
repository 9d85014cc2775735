"""The page of a search with many queries in headless Chromium: bytes, nodes, and seconds to load and filter.

    python -m bench.result_page --tracklets 1000

Every tracklet is a query with ten answers. Seconds are those of the page's main thread (script, style,
layout), so that other work on the machine counts little; needs playwright and an installed Chromium.
"""

import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bench.figures import Figure, alone, command_line, missing, show
from sttreid.search.calibration import Labelled, calibrate
from sttreid.search.gallery import Gallery, ModelReference
from sttreid.search.linking import link
from sttreid.search.page import write_page
from sttreid.search.ranking import search

MODEL = ModelReference("model.pt", "ab" * 32, 64, 32, 4, 64)
CAMERAS = 4
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FILTERS = ("#filter [name=camera]", "#filter [name=near]")  # boxes that are clicked


def gallery_of(tracklets: int) -> Gallery:
    """People in four cameras, with film strips of noise, eight images of 64x32 pixels each."""
    rng = np.random.default_rng(0)
    people = -(-tracklets // CAMERAS)
    centres = rng.standard_normal((people, MODEL.dimensions))
    rows, embeddings, strips = [], [], []
    for number in range(tracklets):
        camera, person = divmod(number, people)
        first = 1 + 25 * person
        row = {"video": f"cam{camera}.mp4", "camera": f"cam{camera}", "track": str(person), "first": first}
        row |= {"last": first + 100, "start": first / 25, "end": first / 25 + 4, "boxes": 100}
        rows.append(row | {"height": 80.0, "border": 0.0, "identity": f"p{person}"})
        vector = centres[person] + 0.7 * rng.standard_normal(MODEL.dimensions)
        embeddings.append(vector / np.linalg.norm(vector))
        buffer = io.BytesIO()
        pixels = rng.integers(60, 190, (16, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((256, 64)).save(buffer, "JPEG")
        strips.append(buffer.getvalue())
    return Gallery(pd.DataFrame(rows), np.array(embeddings, np.float32), MODEL, tuple(strips))


def write(path: Path, tracklets: int) -> None:
    gallery = gallery_of(tracklets)
    table = gallery.tracklets
    labelled = Labelled(
        gallery.embeddings, table["identity"].to_numpy(object), table["camera"].to_numpy(object)
    )
    calibration = calibrate([labelled], MODEL.sha256, "rendered people", rendered=True, rate=0.003)
    gallery = replace(gallery, calibration=calibration)
    answers = search(None, gallery, 10, cross_camera_only=True)
    write_page(path, answers, gallery, link(gallery), calibration)


def drive(path: Path) -> dict[str, float]:
    """Load the page, click filters, and read the browser's own counts.

    Raises:
        StopIteration: no browser is installed.
    """
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"], timeout=300_000)
        page = running.new_page(viewport={"width": 1280, "height": 844})
        page.set_default_timeout(300_000)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def metrics() -> dict[str, float]:
            frame = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
            page.evaluate(frame)  # what was changed is laid out
            found = session.send("Performance.getMetrics")["metrics"]
            return {one["name"]: one["value"] for one in found}

        before = metrics()
        page.goto(path.as_uri(), wait_until="load")
        loaded = metrics()
        clicks = []
        for box in FILTERS * 3:
            start = metrics()["TaskDuration"]
            page.locator(box).first.click()
            clicks.append(metrics()["TaskDuration"] - start)
        result = {
            "elements": float(page.evaluate("document.querySelectorAll('*').length")),
            "load": loaded["TaskDuration"] - before["TaskDuration"],
            "filter": float(np.median(clicks)),
        }
        running.close()
    return result


def figures(tracklets: int = 1000, rounds: int = 3) -> Iterator[Figure]:
    """What docs/performance.md quotes."""
    what = f"page of {tracklets:,} queries with ten answers"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "result.html")
        write(path, tracklets)
        yield alone(f"{what}: file", "MB", [path.stat().st_size / 1e6])
        if not any(map(shutil.which, BROWSERS)):
            yield missing(f"{what}, in a browser", "no Chromium")
            return
        runs = [drive(path) for _ in range(rounds)]
    yield alone(f"{what}: tree", "elements", [run["elements"] for run in runs])
    for name in ("load", "filter"):
        yield alone(f"{what}: {name}", "s of the main thread", [run[name] for run in runs])


def main(words: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = command_line("result_page", __doc__, figures)
    parser.add_argument("--tracklets", type=int, default=1000)
    show(figures(parser.parse_args(words).tracklets))


if __name__ == "__main__":
    main()

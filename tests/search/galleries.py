"""Galleries without a model or a video."""

import io

import numpy as np
import pandas as pd
from PIL import Image

from sttreid.search.gallery import Gallery, ModelReference

MODEL = ModelReference("model.pt", "ab" * 32, 64, 32, 4, 8)


def gallery_of(
    people: int = 4,
    cameras: int = 2,
    noise: float = 0.3,
    seed: int = 0,
    labels: bool = True,
    strips: bool = False,
) -> Gallery:
    """One tracklet per person and camera: each person has a direction, each tracklet adds noise to it."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((people, MODEL.dimensions))
    rows, embeddings = [], []
    for camera in range(cameras):
        for person in range(people):
            first = 1 + 10 * person
            row = {"video": f"cam{camera + 1}.mp4", "camera": f"cam{camera + 1}", "track": str(person + 1)}
            row |= {"first": first, "last": first + 20, "start": (first - 1) / 10, "end": (first + 19) / 10}
            row |= {"boxes": 21, "height": 80.0, "border": 0.0}
            rows.append(row | {"identity": f"p{person}" if labels else None})
            vector = centres[person] + noise * rng.standard_normal(MODEL.dimensions)
            embeddings.append(vector / np.linalg.norm(vector))
    pictures = tuple(strip(number) for number in range(len(rows))) if strips else ()
    return Gallery(pd.DataFrame(rows), np.array(embeddings, np.float32), MODEL, pictures)


def strip(number: int) -> bytes:
    """A small JPEG."""
    buffer = io.BytesIO()
    Image.new("RGB", (96, 96), (20 * number % 256, 90, 120)).save(buffer, "JPEG")
    return buffer.getvalue()

"""Position of a camera and its response to light, as records that the compiled code reads.

World coordinates: z up, metres. A camera is above the origin and looks along +y, down by its pitch. Pixel
columns increase to the right, rows downward; the rows of ``turn`` are the camera's right, down and forward
axes.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.config.domain import Light
from sttreid.simulate.draws import Generator, uniform
from sttreid.simulate.kernels import kernel

CAMERA: Final = np.dtype(
    [("turn", "f4", (3, 3)), ("position", "f4", 3), ("focal", "f4"), ("centre", "f4", 2)], align=True
)
LIGHT: Final = np.dtype(
    [
        ("direction", "f4", 3),  # toward the sun
        ("sun", "f4"), ("sky", "f4"), ("ground", "f4"),  # light from the sun, from above, from below
        ("gains", "f4", 3), ("exposure", "f4"), ("saturation", "f4"),
        ("curve", "f4", 1025),  # linear value 0 to 1 -> display value 0 to 255
    ],
    align=True,
)  # fmt: skip
_CURVE_STEPS: Final = 1024


@kernel
def display(red: float, green: float, blue: float, light: Any) -> tuple[float, float, float]:
    """Convert linear light to display values 0 to 255: gains, exposure, saturation, gamma."""
    gains, exposure, saturation = light["gains"], light["exposure"], light["saturation"]
    red, green, blue = red * gains[0] * exposure, green * gains[1] * exposure, blue * gains[2] * exposure
    mean = (red + green + blue) * (1 / 3)
    return (
        _shown(mean + (red - mean) * saturation, light),
        _shown(mean + (green - mean) * saturation, light),
        _shown(mean + (blue - mean) * saturation, light),
    )


@kernel
def _shown(value: float, light: Any) -> float:
    return float(light["curve"][int(_CURVE_STEPS * min(1.0, max(0.0, value)) + 0.5)])


def camera_record(height: float, pitch: float, focal: float, width: int, rows: int) -> NDArray[np.void]:
    """One CAMERA record [1] at ``height`` metres, pitched down by ``pitch`` radians.

    ``focal`` is in pixels; images have width x rows pixels.
    """
    record = np.zeros(1, CAMERA)
    forward = np.array([0, np.cos(pitch), -np.sin(pitch)])
    right = np.array([1.0, 0.0, 0.0])
    record["turn"] = np.stack([right, np.cross(forward, right), forward])
    record["position"] = (0, 0, height)
    record["focal"] = focal
    record["centre"] = (width / 2, rows / 2)
    return record


def pixels(camera: NDArray[np.void], points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Project world points [..., 3] to pixel column, pixel row and depth in metres, [..., 3]."""
    view = camera[0]
    projected = np.einsum("ab,...b->...a", view["turn"].astype(np.float64), points - view["position"])
    depth = projected[..., 2:]
    return np.concatenate([view["centre"] + float(view["focal"]) * projected[..., :2] / depth, depth], -1)


def light_record(rng: Generator, light: Light, indoor: bool) -> NDArray[np.void]:
    """One LIGHT record [1] drawn for a domain; indoors the sun is weak and the ceiling bright."""
    sun, sky = uniform(rng, light.sun), uniform(rng, light.ambient)
    sun, sky = (0.25 * sun, sky + 0.35) if indoor else (sun, sky)
    azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.2)
    level = np.cos(elevation)
    gains = np.exp(rng.normal(0, light.white_balance, 3))
    record = np.zeros(1, LIGHT)
    record["direction"] = (np.cos(azimuth) * level, np.sin(azimuth) * level, np.sin(elevation))
    record["sun"], record["sky"], record["ground"] = sun, sky, sky * rng.uniform(0.3, 0.7)
    record["gains"] = gains / gains.mean()
    record["exposure"] = uniform(rng, light.exposure)
    record["saturation"] = uniform(rng, light.saturation)
    gamma = uniform(rng, light.gamma)
    record["curve"] = 255 * np.linspace(0, 1, _CURVE_STEPS + 1) ** (1 / gamma)
    return record

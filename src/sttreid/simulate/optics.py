"""A camera's place and its response to light, as records that the compiled drawing reads.

World: z up, metres. A camera hangs above the origin and looks along +y, down by its pitch. Pixel columns
run to the right, rows down; `turn` has the camera's right, down and forward axes as its rows.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.config.domain import Light
from sttreid.simulate.kernels import kernel

CAMERA: Final = np.dtype(
    [("turn", "f4", (3, 3)), ("position", "f4", 3), ("focal", "f4"), ("centre", "f4", 2)], align=True
)
LIGHT: Final = np.dtype(
    [
        ("direction", "f4", 3),  # towards the sun
        ("sun", "f4"), ("sky", "f4"), ("ground", "f4"),  # light from the sun, from above and from below
        ("gains", "f4", 3), ("exposure", "f4"), ("saturation", "f4"),
        ("curve", "f4", 1025),  # display value 0 to 255 over the linear value 0 to 1
    ],
    align=True,
)  # fmt: skip
_STEPS: Final = 1024


@kernel
def display(red: float, green: float, blue: float, light: Any) -> tuple[float, float, float]:
    """Turns linear light into display values 0 to 255: gains, exposure, saturation, gamma."""
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
    return float(light["curve"][int(_STEPS * min(1.0, max(0.0, value)) + 0.5)])


def camera_record(height: float, pitch: float, focal: float, width: int, rows: int) -> NDArray[np.void]:
    """One CAMERA record [1] at `height` metres, looking down by `pitch` radians; pictures of width x rows."""
    record = np.zeros(1, CAMERA)
    forward = np.array([0, np.cos(pitch), -np.sin(pitch)])
    right = np.array([1.0, 0.0, 0.0])
    record["turn"] = np.stack([right, np.cross(forward, right), forward])
    record["position"] = (0, 0, height)
    record["focal"] = focal
    record["centre"] = (width / 2, rows / 2)
    return record


def pixels(camera: NDArray[np.void], points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """World points [..., 3] to pixel column, row and depth in metres, [..., 3]."""
    view = camera[0]
    seen = np.einsum("ab,...b->...a", view["turn"].astype(np.float64), points - view["position"])
    depth = seen[..., 2:]
    return np.concatenate([view["centre"] + float(view["focal"]) * seen[..., :2] / depth, depth], -1)


def light_record(rng: np.random.Generator, light: Light, indoor: bool) -> NDArray[np.void]:
    """One LIGHT record [1] drawn from a domain's light; indoors the sun is weak and the ceiling bright."""
    sun = rng.uniform(light.sun.low, light.sun.high)
    sky = rng.uniform(light.ambient.low, light.ambient.high)
    sun, sky = (0.25 * sun, sky + 0.35) if indoor else (sun, sky)
    azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.2)
    level = np.cos(elevation)
    gains = np.exp(rng.normal(0, light.white_balance, 3))
    record = np.zeros(1, LIGHT)
    record["direction"] = (np.cos(azimuth) * level, np.sin(azimuth) * level, np.sin(elevation))
    record["sun"], record["sky"], record["ground"] = sun, sky, sky * rng.uniform(0.3, 0.7)
    record["gains"] = gains / gains.mean()
    record["exposure"] = rng.uniform(light.exposure.low, light.exposure.high)
    record["saturation"] = rng.uniform(light.saturation.low, light.saturation.high)
    gamma = rng.uniform(light.gamma.low, light.gamma.high)
    record["curve"] = 255 * np.linspace(0, 1, _STEPS + 1) ** (1 / gamma)
    return record

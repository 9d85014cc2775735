"""How well body and gait alone tell the simulated people apart: a classifier of gait energy images.

A walk is filmed by a camera that the simulator draws, under a heading that the simulator draws. Every frame
becomes a binary silhouette of 64 x 44 pixels, scaled to one height and centred on its mass; their mean over a
double step is the gait energy image (Han and Bhanu, Individual Recognition Using Gait Energy Image, PAMI
2006). Principal components and linear discriminants learn some walks of every identity and name the others.

    python -m bench.silhouettes --domain campus
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline, make_pipeline

from sttreid.config.domain import Domain, Scale
from sttreid.config.params import PARAMS, load
from sttreid.simulate import raster
from sttreid.simulate.appearance import Arm, Bag, Look
from sttreid.simulate.body import Z_ANKLE, Z_HIP, Floats
from sttreid.simulate.clothing import Figure, figure
from sttreid.simulate.rays import MISS
from sttreid.simulate.scene import draw_scene
from sttreid.simulate.streams import stream
from sttreid.simulate.walkers import Visit, walk
from sttreid.simulate.wardrobe import look

HEIGHT: Final = 64  # rows of a silhouette
WIDTH: Final = 44
_COMPONENTS: Final = 80  # principal components kept, at most
_RESAMPLES: Final = 2000  # of the bootstrap
_NO_COAT: Final = 9.0

Dress = Callable[[Look, Look], Look]


@dataclass(frozen=True)
class Score:
    """Share of the test walks that are given to the right identity."""

    accuracy: float
    low: float  # 95 % interval, identities drawn anew
    high: float
    right: int
    walks: int
    chance: float


def same_clothes(own: Look) -> Look:
    """Own body and gait in one shirt, trousers and shoes; short hair, nothing carried, both arms swing."""
    return replace(
        own,
        head=replace(own.head, volume=0.01, length=0.0, bun=0, hat=0),
        top=replace(own.top, thickness=0.012, sleeve=0.6, hem=Z_HIP - 0.06, coat=_NO_COAT),
        bottom=replace(own.bottom, skirt=False, thickness=0.01, length=Z_ANKLE - 0.02),
        feet=replace(own.feet, shoe_top=Z_ANKLE),
        carried=replace(own.carried, backpack=0.0, bag=Bag.NONE, trolley=False),
        walk=replace(own.walk, left=Arm.SWING, right=Arm.SWING),
    )


def gait_only(own: Look, first: Look) -> Look:
    """The first identity's body in the same clothes with one's own gait."""
    return replace(same_clothes(own), physique=first.physique)


def body_only(own: Look, first: Look) -> Look:
    """One's own body in the same clothes with the first identity's gait."""
    return replace(same_clothes(own), walk=same_clothes(first).walk)


CONDITIONS: Final[dict[str, Dress]] = {
    "as dressed": lambda own, _: own,
    "same clothes": lambda own, _: same_clothes(own),
    "same clothes and gait: body only": body_only,
    "same clothes and body: gait only": gait_only,
}


def images(name: str, domain: Domain, scale: Scale, identities: int, walks: int, dress: Dress) -> Floats:
    """Gait energy images [identities, walks, HEIGHT * WIDTH], values from 0 to 1."""
    first = look(1, name, domain, scale.seed)
    return np.array(
        [
            [_image(name, domain, scale, identity, number, person) for number in range(walks)]
            for identity in range(1, identities + 1)
            for person in [figure(dress(look(identity, name, domain, scale.seed), first))]
        ],
        np.float32,
    )


def score(images: Floats, train: int, seed: int) -> Score:
    """Learns the first `train` walks of every identity and names the identity of the others."""
    identities, walks = images.shape[:2]
    labels = np.repeat(np.arange(identities), walks).reshape(identities, walks)
    known, asked = images[:, :train], images[:, train:]
    model = classifier(min(_COMPONENTS, identities * train - identities))
    model.fit(known.reshape(-1, images.shape[2]), labels[:, :train].ravel())
    named = model.predict(asked.reshape(-1, images.shape[2])).reshape(identities, walks - train)
    right = named == labels[:, train:]
    drawn = np.random.default_rng(seed).integers(identities, size=(_RESAMPLES, identities))
    low, high = np.percentile(right.mean(1)[drawn].mean(1), [2.5, 97.5])
    return Score(float(right.mean()), float(low), float(high), int(right.sum()), right.size, 1 / identities)


def classifier(components: int) -> Pipeline:
    """Principal components, then linear discriminants with shrunk covariance."""
    return make_pipeline(
        PCA(components, svd_solver="full"),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )


def _image(name: str, domain: Domain, scale: Scale, identity: int, number: int, person: Figure) -> Floats:
    rng = stream(scale.seed, "silhouettes", name, identity, number)
    scene = draw_scene(rng, domain, scale)
    open_air = np.full((scale.height, scale.width), MISS, np.float32)
    visit = Visit(identity, 0, round(scale.fps / person.look.walk.cadence), number)
    walked = walk(rng, visit, person, scene, open_air, scale.fps)
    frames = [silhouette(person, matrices, scene.camera) for matrices in walked.matrices]
    return np.mean(frames, axis=0).ravel()


def silhouette(person: Figure, matrices: Floats, camera: NDArray[np.void]) -> NDArray[np.bool_]:
    """Binary silhouette [HEIGHT, WIDTH] of a pose: from crown to sole over all rows, mass in the middle."""
    world, normals, screen = (np.empty_like(person.vertices) for _ in range(3))
    raster.skin(person.vertices, person.normals, person.weights, person.influences, matrices, world, normals)
    raster.project(world, camera, screen)
    low, high = screen[person.person, 1].min(), screen[person.person, 1].max()
    zoom = HEIGHT / (high - low)
    screen[:, 0] = (screen[:, 0] - screen[person.person, 0].mean()) * zoom + WIDTH
    screen[:, 1] = (screen[:, 1] - low) * zoom
    samples = (HEIGHT * raster.SAMPLES, 2 * WIDTH * raster.SAMPLES)  # wide enough to be centred again
    depth, hit = np.full(samples, raster.FAR), np.full(samples, raster.NOTHING, np.int32)
    bary = np.empty((*samples, 2), np.float32)
    raster.rasterise(screen, person.faces, person.face_parts, 0, 0, depth, hit, bary)
    tiles = (hit != raster.NOTHING).reshape(HEIGHT, raster.SAMPLES, 2 * WIDTH, raster.SAMPLES)
    covered = tiles.mean((1, 3)) >= 0.5
    middle = np.average(np.arange(2 * WIDTH), weights=covered.sum(0))
    left = int(np.clip(round(middle - WIDTH / 2), 0, WIDTH))
    return covered[:, left : left + WIDTH]


def table(domain: str, scores: dict[str, Score]) -> str:
    """Markdown: one row a condition."""
    lines = [f"| {domain} | accuracy % | 95 % interval | chance % | test walks |", "|---|---|---|---|---|"]
    for name, found in scores.items():
        interval = f"{100 * found.low:.1f} to {100 * found.high:.1f}"
        lines.append(
            f"| {name} | {100 * found.accuracy:.1f} | {interval} | {100 * found.chance:.1f} | {found.walks} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Prints the table of one domain."""
    parser = argparse.ArgumentParser(prog="python -m bench.silhouettes", description=__doc__)
    parser.add_argument("--domain", default="campus", help="of params.yaml (default: %(default)s)")
    parser.add_argument("--params", type=Path, default=PARAMS)
    parser.add_argument("--identities", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--train", type=int, default=8, help="walks to learn from (default: %(default)s)")
    parser.add_argument("--test", type=int, default=4, help="walks to name (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    given = parser.parse_args(arguments)
    values = load(given.params)
    domain, scale = values.domains[given.domain], replace(values.benchmark, seed=given.seed)
    walks = given.train + given.test
    scores = {
        name: score(
            images(given.domain, domain, scale, given.identities, walks, dress), given.train, given.seed
        )
        for name, dress in CONDITIONS.items()
    }
    print(table(given.domain, scores))


if __name__ == "__main__":
    main()

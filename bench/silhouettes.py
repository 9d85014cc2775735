"""How well body and gait alone identify the simulated identities: a classifier of gait energy images.

Camera and heading of a walk are drawn by the simulator. Every frame becomes a binary silhouette of 64 x 44
pixels, scaled to a fixed height and centred on its mass. Their mean over a double step is the gait energy
image (Han and Bhanu, Individual Recognition Using Gait Energy Image, PAMI 2006). Principal components and
linear discriminants are fitted to the training walks of every identity and classify its test walks.

    python -m bench.silhouettes --domain campus
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline, make_pipeline

from sttreid.config.domain import Domain, Scale, load_benchmark, load_domain
from sttreid.simulate import raster
from sttreid.simulate.appearance import Appearance, ArmPose, Bag
from sttreid.simulate.body import Z_ANKLE, Z_HIP
from sttreid.simulate.draws import stream
from sttreid.simulate.geometry import Floats
from sttreid.simulate.pedestrian import Pedestrian, build_pedestrian
from sttreid.simulate.plan import Visit
from sttreid.simulate.rays import MISS
from sttreid.simulate.scene import draw_scene
from sttreid.simulate.walkers import random_walk
from sttreid.simulate.wardrobe import draw_appearance

HEIGHT: Final = 64  # rows of a silhouette
WIDTH: Final = 44
_COMPONENTS: Final = 80  # maximum number of principal components
_RESAMPLES: Final = 2000  # of the bootstrap
_NO_COAT: Final = 9.0

Dress = Callable[[Appearance, Appearance], Appearance]


@dataclass(frozen=True)
class Score:
    """Accuracy of the classifier on the test walks."""

    accuracy: float
    low: float  # 95 % interval by bootstrap over identities
    high: float
    correct: int
    walks: int
    chance: float


def same_clothes(appearance: Appearance) -> Appearance:
    """Body and gait in common clothes and shoes; short hair, nothing carried, both arms swing."""
    return replace(
        appearance,
        head=replace(appearance.head, volume=0.01, length=0.0, bun=0, hat=0),
        top=replace(appearance.top, thickness=0.012, sleeve=0.6, hem=Z_HIP - 0.06, coat=_NO_COAT),
        bottom=replace(appearance.bottom, skirt=False, thickness=0.01, length=Z_ANKLE - 0.02),
        feet=replace(appearance.feet, shoe_top=Z_ANKLE),
        carried=replace(appearance.carried, backpack=0.0, bag=Bag.NONE, trolley=False),
        gait=replace(appearance.gait, left=ArmPose.SWING, right=ArmPose.SWING),
    )


def gait_only(appearance: Appearance, first: Appearance) -> Appearance:
    """The gait of an identity with the body of the first identity, in common clothes."""
    return replace(same_clothes(appearance), physique=first.physique)


def body_only(appearance: Appearance, first: Appearance) -> Appearance:
    """The body of an identity with the gait of the first identity, in common clothes."""
    return replace(same_clothes(appearance), gait=same_clothes(first).gait)


CONDITIONS: Final[dict[str, Dress]] = {
    "as dressed": lambda appearance, _: appearance,
    "same clothes": lambda appearance, _: same_clothes(appearance),
    "same clothes and gait: body only": body_only,
    "same clothes and body: gait only": gait_only,
}


def images(name: str, domain: Domain, scale: Scale, identities: int, walks: int, dress: Dress) -> Floats:
    """Gait energy images [identities, walks, HEIGHT * WIDTH], values from 0 to 1."""
    first = draw_appearance(1, name, domain, scale.seed)
    return np.array(
        [
            [_image(name, domain, scale, identity, number, person) for number in range(walks)]
            for identity in range(1, identities + 1)
            for person in [
                build_pedestrian(dress(draw_appearance(identity, name, domain, scale.seed), first))
            ]
        ],
        np.float32,
    )


def score(images: Floats, train: int, seed: int) -> Score:
    """Fits the first ``train`` walks of every identity and classifies the others."""
    identities, walks = images.shape[:2]
    labels = np.repeat(np.arange(identities), walks).reshape(identities, walks)
    train_images, test_images = images[:, :train], images[:, train:]
    model = classifier(min(_COMPONENTS, identities * train - identities))
    model.fit(train_images.reshape(-1, images.shape[2]), labels[:, :train].ravel())
    predicted = model.predict(test_images.reshape(-1, images.shape[2])).reshape(identities, walks - train)
    correct = predicted == labels[:, train:]
    drawn = np.random.default_rng(seed).integers(identities, size=(_RESAMPLES, identities))
    low, high = np.percentile(correct.mean(1)[drawn].mean(1), [2.5, 97.5])
    return Score(
        float(correct.mean()), float(low), float(high), int(correct.sum()), correct.size, 1 / identities
    )


def classifier(components: int) -> Pipeline:
    """Principal components, then linear discriminants with shrunk covariance."""
    return make_pipeline(
        PCA(components, svd_solver="full"),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )


def _image(name: str, domain: Domain, scale: Scale, identity: int, number: int, person: Pedestrian) -> Floats:
    rng = stream(scale.seed, "silhouettes", name, identity, number)
    scene = draw_scene(rng, domain, scale)
    open_air = np.full((scale.height, scale.width), MISS, np.float32)
    visit = Visit(identity, 0, round(scale.fps / person.appearance.gait.cadence), number)
    walk = random_walk(rng, visit, person, scene, open_air, scale.fps)
    frames = [silhouette(person, matrices, scene.camera) for matrices in walk.matrices]
    return np.mean(frames, axis=0).ravel()


def silhouette(person: Pedestrian, matrices: Floats, camera: NDArray[np.void]) -> NDArray[np.bool_]:
    """Binary silhouette [HEIGHT, WIDTH] of a pose: crown to sole over all rows, centred on its mass."""
    world, normals, screen = (np.empty_like(person.vertices) for _ in range(3))
    raster.skin(person.vertices, person.normals, person.weights, person.influences, matrices, world, normals)
    raster.project_points(world, camera, screen)
    low, high = screen[person.person, 1].min(), screen[person.person, 1].max()
    zoom = HEIGHT / (high - low)
    screen[:, 0] = (screen[:, 0] - screen[person.person, 0].mean()) * zoom + WIDTH
    screen[:, 1] = (screen[:, 1] - low) * zoom
    samples = raster.empty_samples(HEIGHT, 2 * WIDTH)  # wide enough for the centring
    raster.rasterise(screen, person.faces, person.face_parts, 0, 0, samples)
    tiles = (samples.hit != raster.NOTHING).reshape(HEIGHT, raster.SAMPLES, 2 * WIDTH, raster.SAMPLES)
    covered = tiles.mean((1, 3)) >= 0.5
    middle = np.average(np.arange(2 * WIDTH), weights=covered.sum(0))
    left = int(np.clip(round(middle - WIDTH / 2), 0, WIDTH))
    return covered[:, left : left + WIDTH]


def table(domain: str, scores: dict[str, Score]) -> str:
    """Markdown table with one row per condition."""
    lines = [f"| {domain} | accuracy % | 95 % interval | chance % | test walks |", "|---|---|---|---|---|"]
    for name, result in scores.items():
        interval = f"{100 * result.low:.1f} to {100 * result.high:.1f}"
        accuracy, chance = 100 * result.accuracy, 100 * result.chance
        lines.append(f"| {name} | {accuracy:.1f} | {interval} | {chance:.1f} | {result.walks} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Prints the table of one domain."""
    parser = argparse.ArgumentParser(prog="python -m bench.silhouettes", description=__doc__)
    parser.add_argument("--domain", default="campus", help="in domains/ (default: %(default)s)")
    parser.add_argument("--identities", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--train", type=int, default=8, help="training walks per identity, %(default)s")
    parser.add_argument("--test", type=int, default=4, help="test walks per identity, %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    given = parser.parse_args(arguments)
    domain, scale = load_domain(given.domain), replace(load_benchmark(), seed=given.seed)
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

from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.domain import Domain
from sttreid.simulate.appearance import Appearance, ArmPose, Bag
from sttreid.simulate.body import JOINT, Z_HIP, Z_KNEE, MeshPart, body
from sttreid.simulate.gait import joint_matrices
from sttreid.simulate.pedestrian import Pedestrian, build_pedestrian
from sttreid.simulate.raster import NOTHING, empty_samples, rasterise
from sttreid.simulate.wardrobe import draw_appearance


@pytest.fixture(scope="module")
def appearances(domain: Domain) -> list[Appearance]:
    return [draw_appearance(identity, "a", domain, 0) for identity in range(1, 13)]


def skirted(appearance: Appearance) -> Appearance:
    skirt = replace(appearance.bottom, skirt=True, skirt_hem=Z_KNEE + 0.05, flare=0.04)
    return replace(appearance, bottom=skirt, top=replace(appearance.top, coat=9.0))


def coated(appearance: Appearance) -> Appearance:
    coat = replace(appearance.top, coat=Z_KNEE, hem=Z_HIP - 0.04)
    return replace(appearance, top=coat, bottom=replace(appearance.bottom, skirt=False))


def untucked(appearance: Appearance) -> Appearance:
    shirt = replace(appearance.top, coat=9.0, hem=Z_HIP - 0.06)
    return replace(appearance, top=shirt, bottom=replace(appearance.bottom, skirt=False))


def vertices_of(person: Pedestrian, part: MeshPart) -> np.ndarray:
    return np.unique(person.faces[person.face_parts == part])


def posed(person: Pedestrian, phase: float) -> np.ndarray:
    """Vertices [V, 3], by the definition of linear blend skinning."""
    matrices = joint_matrices(person, np.array([phase]), np.zeros((1, 2)), np.zeros(1), 0.0)[0]
    mixed = (person.weights[..., None, None] * matrices[person.influences]).sum(1)
    return np.einsum("vab,vb->va", mixed[..., :3], person.vertices) + mixed[..., 3]


@pytest.mark.parametrize(
    ("wear", "part"), [(skirted, MeshPart.SKIRT), (coated, MeshPart.COAT), (untucked, MeshPart.COAT)]
)
def test_a_sheet_ends_at_its_hem_whatever_the_length_of_the_legs(
    appearances: list[Appearance], wear, part: MeshPart
) -> None:
    for appearance in appearances:
        person = build_pedestrian(wear(appearance))
        marks = [JOINT[name] for name in ("footL", "shankL", "thighL", "neck")]
        hem = np.interp(person.appearance.lowest_hem, body().joints[marks, 2], person.joints[marks, 2])
        sheet = vertices_of(person, part)
        assert person.vertices[sheet, 2].min() == pytest.approx(hem, abs=1e-3)
        assert person.canonical[sheet, 2].min() == pytest.approx(person.appearance.lowest_hem, abs=1e-3)


def seen(person: Pedestrian, phase: float, yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """MeshPart and canonical height of what a camera sees of a person in every sample."""
    points = posed(person, phase)
    turned = np.stack([points @ [np.cos(yaw), np.sin(yaw), 0], points @ [-np.sin(yaw), np.cos(yaw), 0]], 1)
    screen = np.stack([turned[:, 0] * 50 + 50, 105 - points[:, 2] * 50, 10 + turned[:, 1]], 1)
    samples = empty_samples(110, 100)
    rasterise(screen.astype(np.float32), person.faces, person.face_parts, 0, 0, samples)
    hit, bary = samples.hit, samples.bary
    visible = hit != NOTHING
    height = person.canonical[person.faces[hit[visible]], 2]
    u, v = bary[visible].T
    return person.face_parts[hit[visible]], (1 - u - v) * height[:, 0] + u * height[:, 1] + v * height[:, 2]


@pytest.mark.parametrize(("wear", "part"), [(skirted, MeshPart.SKIRT), (coated, MeshPart.COAT)])
def test_legs_do_not_come_through_a_sheet(appearances: list[Appearance], wear, part: MeshPart) -> None:
    """During the walk almost nothing is visible of the part of the leg that cloth covers at rest."""
    through, cloth = 0, 0
    for appearance in appearances:
        person = build_pedestrian(wear(appearance))
        for phase in (0.0, 0.3, 0.6, 0.9):
            for yaw in np.arange(8) * np.pi / 4:
                parts, height = seen(person, phase, yaw)
                covered = height > person.appearance.lowest_hem + 0.06
                through += (np.isin(parts, (MeshPart.THIGH, MeshPart.SHANK)) & covered).sum()
                cloth += (parts == part).sum()
    assert cloth > 10_000
    assert through < 0.02 * cloth


def test_a_coat_begins_under_the_jacket_that_it_hangs_from(appearances: list[Appearance]) -> None:
    for appearance in appearances:
        person = build_pedestrian(coated(appearance))
        sheet = person.vertices[vertices_of(person, MeshPart.COAT)]
        rim = sheet[sheet[:, 2] > sheet[:, 2].max() - 1e-3]
        torso = person.vertices[: len(body().parts)][body().parts == MeshPart.TORSO]
        near = torso[np.abs(torso[:, 2] - rim[0, 2]) < 0.05]
        for axis in (0, 1):
            assert rim[:, axis].max() < near[:, axis].max()
            assert rim[:, axis].min() > near[:, axis].min()


def test_a_coat_encloses_the_skirt_below_it(appearances: list[Appearance]) -> None:
    appearance = coated(appearances[0])
    wide = replace(appearance, bottom=replace(appearance.bottom, skirt=True, skirt_hem=Z_KNEE, flare=0.14))
    person = build_pedestrian(wide)
    skirt, coat = (person.vertices[vertices_of(person, part)] for part in (MeshPart.SKIRT, MeshPart.COAT))
    assert np.abs(coat[:, 0]).max() > np.abs(skirt[:, 0]).max()


def test_a_bag_hangs_upright_from_a_hand(appearances: list[Appearance]) -> None:
    for appearance in appearances[:6]:
        gait = replace(
            appearance.gait,
            left=ArmPose.CARRIES,
            right=ArmPose.CARRIES,
            lean=0.0,
            hunch=0.0,
            tilt=0.0,
            swing=0.0,
        )
        carried = replace(appearance.carried, bag=Bag.IN_HAND)
        person = build_pedestrian(replace(appearance, carried=carried, gait=gait))
        bag = posed(person, 0.25)[vertices_of(person, MeshPart.BAG)]
        wide, deep, high = np.ptp(bag, axis=0)  # the person appearances along x
        assert deep == pytest.approx(0.1, abs=0.03)
        assert high == pytest.approx(0.26, abs=0.03)
        assert wide == pytest.approx(0.3, abs=0.03)


def test_a_skirt_is_outside_the_legs(appearances: list[Appearance]) -> None:
    for appearance in appearances:
        person = build_pedestrian(skirted(appearance))
        skirt = person.vertices[vertices_of(person, MeshPart.SKIRT)]
        thigh = person.vertices[: len(body().parts)][body().parts == MeshPart.THIGH]
        covered = thigh[thigh[:, 2] > skirt[:, 2].min()]
        assert np.abs(skirt[:, 0]).max() >= np.abs(covered[:, 0]).max()

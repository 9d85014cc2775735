import numpy as np
import pytest

from sttreid.simulate.body import body
from sttreid.simulate.geometry import band_faces, compose, superellipsoid, turn, vertex_normals


def test_normals_agree_with_a_loop_over_triangles() -> None:
    vertices, faces = body().rest, body().faces
    total = np.zeros_like(vertices)
    for a, b, c in faces:
        for corner in (a, b, c):
            total[corner] += np.cross(vertices[b] - vertices[a], vertices[c] - vertices[a])
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    assert np.allclose(vertex_normals(vertices, faces), expected, atol=1e-3)


@pytest.mark.parametrize("closed", [False, True])
def test_a_band_covers_its_grid_with_two_triangles_per_cell(closed: bool) -> None:
    faces = band_faces(3, 5, closed)
    assert len(faces) == 2 * 2 * (5 if closed else 4)
    assert set(faces.ravel()) == set(range(15))


@pytest.mark.parametrize("power", [2.0, 5.0])
def test_a_superellipsoid_satisfies_its_equation(power: float) -> None:
    centre, radii = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0])
    vertices, _ = superellipsoid(centre, radii, power)
    values = (np.abs((vertices - centre) / radii) ** power).sum(1)
    assert np.allclose(values, 1, atol=1e-3)


def test_a_turn_rotates_around_its_axis() -> None:
    quarter = turn((0.0, 0.0, 1.0), np.pi / 2)[0]
    assert np.allclose(quarter @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    half = compose(quarter[None], quarter[None])[0]
    assert np.allclose(half @ [1, 0, 0], [-1, 0, 0], atol=1e-12)

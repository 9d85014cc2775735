from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sttreid.domain import Domain, Scale, Whole
from sttreid.simulate.plan import sightings, splits


@given(identities=st.integers(6, 300), train=st.floats(0.05, 0.85), validation=st.floats(0.05, 0.1))
def test_splits_are_blocks_of_pairs_that_hold_everyone_once(
    identities: int, train: float, validation: float
) -> None:
    parts = splits(Scale(identities, 2, 6, 7, 256, 144, 12, 0, train, validation))
    assert [*parts["train"], *parts["validation"], *parts["test"]] == list(range(1, identities + 1))
    assert all(len(part) >= 2 for part in parts.values())
    assert len(parts["train"]) % 2 == len(parts["validation"]) % 2 == 0


def test_the_shares_are_those_asked_for(scale: Scale) -> None:
    parts = splits(replace(scale, identities=100, train=0.5, validation=0.14))
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [50, 14, 36]


def test_every_identity_is_seen_by_its_number_of_cameras(domain: Domain, scale: Scale) -> None:
    crowd = replace(domain, crowd=replace(domain.crowd, cameras=Whole(2, 4)))
    seen = sightings("a", crowd, replace(scale, identities=90, cameras=6))
    counts = Counter(identity for who in seen.values() for identity in who)
    assert len(counts) == 90
    assert set(counts.values()) == {2, 3, 4}
    loads = [len(who) for who in seen.values()]
    assert max(loads) - min(loads) <= 1


def test_another_identity_changes_nothing_for_those_before(domain: Domain, scale: Scale) -> None:
    few, many = (sightings("a", domain, replace(scale, identities=n, cameras=4)) for n in (20, 40))
    for camera, who in few.items():
        assert [identity for identity in many[camera] if identity <= 20] == who


def test_cameras_are_not_met_in_fixed_groups(domain: Domain, scale: Scale) -> None:
    seen = sightings("a", domain, replace(scale, identities=120, cameras=5))
    together = Counter(
        (a, b) for a in seen for b in seen if a < b for identity in seen[a] if identity in seen[b]
    )
    assert len(together) == 10
    assert min(together.values()) >= 3

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sttreid.config.domain import Domain, Scale, Whole
from sttreid.runtime.errors import InputError
from sttreid.simulate.plan import distractors, sightings, splits


@given(identities=st.integers(6, 300), train=st.floats(0.01, 0.95), validation=st.floats(0.01, 0.95))
def test_splits_are_blocks_of_pairs_that_hold_everyone_once(
    identities: int, train: float, validation: float
) -> None:
    assume(train + validation < 0.99)
    parts = splits(Scale(identities, 0, 2, 6, 7, 256, 144, 12, 0, train, validation))
    assert [*parts["train"], *parts["validation"], *parts["test"]] == list(range(1, identities + 1))
    assert all(len(parts[name]) >= 2 for name in ("train", "validation", "test"))
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


def test_distractors_are_a_split_of_their_own_seen_by_one_camera_each(domain: Domain, scale: Scale) -> None:
    crowded = replace(scale, distractors=40, cameras=4)
    assert splits(crowded)["distractors"] == list(range(10_001, 10_041))
    assert splits(crowded) == splits(replace(crowded, distractors=0)) | {"distractors": distractors(crowded)}
    seen = Counter(identity for who in sightings("a", domain, crowded).values() for identity in who)
    assert [seen[number] for number in distractors(crowded)] == [1] * 40
    assert {camera for camera, who in sightings("a", domain, crowded).items() if max(who) > 10_000} == {
        1,
        2,
        3,
        4,
    }


def test_distractors_change_nothing_for_the_others(domain: Domain, scale: Scale) -> None:
    without, with_some = (sightings("a", domain, replace(scale, distractors=count)) for count in (0, 9))
    for camera, who in without.items():
        assert [number for number in with_some[camera] if number < 10_001] == who
    more = sightings("a", domain, replace(scale, distractors=9, identities=30))
    for camera, who in more.items():
        assert [n for n in who if n > 10_000] == [n for n in with_some[camera] if n > 10_000]


def test_more_cameras_for_an_identity_than_there_are_is_refused(domain: Domain, scale: Scale) -> None:
    crowd = replace(domain, crowd=replace(domain.crowd, cameras=Whole(3, 4)))
    with pytest.raises(InputError, match=r"crowd\.cameras\.low must be at most the 2 cameras, got 3"):
        sightings("a", crowd, scale)


def test_a_camera_that_would_see_nobody_is_refused(domain: Domain, scale: Scale) -> None:
    with pytest.raises(InputError, match=r"6 identities must reach every one of 40 cameras, but camera"):
        sightings("a", domain, replace(scale, cameras=40))

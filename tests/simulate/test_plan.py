from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sttreid.config.domain import Domain, IntRange, Scale
from sttreid.runtime.errors import InputError
from sttreid.simulate.plan import distractors, schedule, sightings, splits


@given(identities=st.integers(6, 300), train=st.floats(0.01, 0.95), validation=st.floats(0.01, 0.95))
def test_splits_are_blocks_of_pairs_with_every_identity_once(
    identities: int, train: float, validation: float
) -> None:
    assume(train + validation < 0.99)
    parts = splits(Scale(identities, 0, 2, 6, 7, 256, 144, 12, 0, train, validation))
    assert [*parts["train"], *parts["validation"], *parts["test"]] == list(range(1, identities + 1))
    assert all(len(parts[name]) >= 2 for name in ("train", "validation", "test"))
    assert len(parts["train"]) % 2 == len(parts["validation"]) % 2 == 0


def test_splits_have_the_given_shares(scale: Scale) -> None:
    parts = splits(replace(scale, identities=100, train=0.5, validation=0.14))
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [50, 14, 36]


def test_every_identity_is_seen_by_its_number_of_cameras(domain: Domain, scale: Scale) -> None:
    crowd = replace(domain, crowd=replace(domain.crowd, cameras=IntRange(2, 4)))
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


def test_a_later_start_leaves_out_the_identities_before_it_and_changes_nothing_else(
    domain: Domain, scale: Scale
) -> None:
    whole = replace(scale, identities=40, cameras=4, distractors=3)
    later = replace(whole, identities=19, first_identity=21)  # without the last one
    rest = sightings("a", domain, later)
    for camera, who in sightings("a", domain, whole).items():
        assert rest[camera] == [number for number in who if number > 20 and number != 40]
    walks = schedule("a", domain, whole, 1, sightings("a", domain, whole)[1])
    lengths = {visit.identity: visit.length for visit in walks}
    visits = schedule("a", domain, later, 1, rest[1])
    assert {visit.identity: visit.length for visit in visits} == {n: lengths[n] for n in rest[1]}


def test_the_splits_of_a_later_start_hold_its_identities_alone(scale: Scale) -> None:
    parts = splits(replace(scale, identities=100, train=0.5, validation=0.14))
    later = splits(replace(scale, identities=100, train=0.5, validation=0.14, first_identity=221))
    for name in ("train", "validation", "test"):
        assert later[name] == [number + 220 for number in parts[name]]


def test_the_plan_of_another_domains_people_is_that_domains(domain: Domain, scale: Scale) -> None:
    seen = sightings("a", domain, replace(scale, identities=40, cameras=4, distractors=3))
    same = replace(domain, same_people_as="a")
    assert sightings("b", same, replace(scale, identities=40, cameras=4, distractors=3)) == seen
    assert sightings("b", domain, replace(scale, identities=40, cameras=4, distractors=3)) != seen
    assert schedule("b", same, scale, 1, seen[1]) == schedule("a", domain, scale, 1, seen[1])


def test_identities_do_not_share_fixed_groups_of_cameras(domain: Domain, scale: Scale) -> None:
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


def test_more_cameras_per_identity_than_exist_are_refused(domain: Domain, scale: Scale) -> None:
    crowd = replace(domain, crowd=replace(domain.crowd, cameras=IntRange(3, 4)))
    with pytest.raises(InputError, match=r"crowd\.cameras\.low must be at most the 2 cameras, got 3"):
        sightings("a", crowd, scale)


def test_a_camera_without_identities_is_refused(domain: Domain, scale: Scale) -> None:
    with pytest.raises(InputError, match=r"6 identities .*40 cameras: camera 1"):
        sightings("a", domain, replace(scale, cameras=40))


def test_every_identity_visits_once_within_the_limits_of_length(domain: Domain, scale: Scale) -> None:
    visits = schedule("a", domain, scale, 1, list(range(10, 60)))
    assert sorted(visit.identity for visit in visits) == list(range(10, 60))
    assert {visit.length for visit in visits} == {6, 7}
    assert [visit.start for visit in visits] == sorted(visit.start for visit in visits)


def test_the_length_of_a_visit_does_not_depend_on_other_identities(domain: Domain, scale: Scale) -> None:
    few, many = (
        {visit.identity: visit.length for visit in schedule("a", domain, size, 1, who)}
        for size, who in ((scale, [3, 4, 5]), (replace(scale, identities=90, cameras=9), list(range(1, 90))))
    )
    assert {identity: many[identity] for identity in few} == few


def test_the_mean_number_of_present_identities_is_that_of_the_domain(domain: Domain, scale: Scale) -> None:
    visits = schedule("a", domain, replace(scale, min_frames=20, max_frames=30), 1, list(range(1, 400)))
    assert sum(visit.length for visit in visits) / visits[-1].end == pytest.approx(3.0, rel=0.08)

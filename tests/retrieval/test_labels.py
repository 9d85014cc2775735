"""Who may be matched with whom, against a double loop; and the books about cameras."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.retrieval.labels import Labels, pair
from sttreid.retrieval.protocol import EMBEDDED, MINUS_BOTH, NO_DISTRACTORS, PROTOCOLS
from sttreid.runtime.errors import InputError
from tests.retrieval.conftest import problem


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(PROTOCOLS[:9]), st.integers(1, 12), st.integers(1, 40))
def test_pairs_are_those_of_a_double_loop(seed, protocol, queries, gallery):
    sides = problem(seed, queries, gallery, people=5, cameras=3)
    query, there = sides.query, sides.gallery
    kept = [
        j
        for j in range(gallery)
        if not there.junk[j]
        and not ("queries" in protocol.gallery and there.query[j])
        and not ("distractors" in protocol.gallery and there.distractor[j])
    ]
    if not kept:
        with pytest.raises(InputError, match="at least 1 query and 1 gallery tracklet"):
            pair(query, there, protocol)
        return
    pairs = pair(query, there, protocol)
    assert pairs.answers.tolist() == kept
    assert (pairs.junk, pairs.left_out) == (there.junk.sum(), gallery - len(kept) - there.junk.sum())
    assert pairs.distractors == there.distractor[kept].sum()
    for i in range(queries):
        same = [j for j in kept if query.identity[i] == there.identity[j]]
        matches = [j for j in same if query.camera[i] != there.camera[j]]
        strangers = [j for j in kept if j not in same]
        if protocol.excluded == "same camera":
            strangers = [j for j in strangers if query.camera[i] != there.camera[j]]
        own = pairs.kin_query == i
        assert pairs.answers[pairs.kin[own]].tolist() == same
        assert pairs.answers[pairs.kin[own & pairs.matching]].tolist() == matches
        assert (pairs.matches[i], pairs.wrong[i]) == (len(matches), len(strangers))


def test_cameras_of_frames_are_refused_where_those_of_tracklets_are_meant():
    # evaluators that collected one camera a frame kept most same-camera matches in the gallery
    lengths = [3, 1, 2]
    per_frame = np.repeat([1, 2, 1], lengths)
    with pytest.raises(
        InputError, match=r"camera must have one entry a tracklet, as the 3 identities have.*\(6,\)"
    ):
        Labels([1, 1, 2], per_frame)


def test_a_query_meets_neither_itself_nor_its_other_fragments():
    everyone = Labels([1, 1, 1, 2], [1, 1, 2, 1])
    pairs = pair(everyone, everyone, EMBEDDED)
    assert pairs.matches.tolist() == [1, 1, 2, 0]
    assert pairs.wrong.tolist() == [1, 1, 1, 3]


def test_identity_zero_is_a_person_unless_it_is_flagged():
    person, crowd = (Labels([0, 0, 1], [1, 2, 1], distractor=flag) for flag in (None, [True, True, False]))
    assert pair(Labels([0], [1]), person, NO_DISTRACTORS).matches.tolist() == [1]
    with pytest.raises(InputError, match="query 0: its identity 0 must not be that of a distractor"):
        pair(Labels([0], [1]), crowd, NO_DISTRACTORS)


def test_flags_are_false_by_default_and_of_ones_own():
    flags = np.array([True, False])
    labels = Labels([1, 2], torch.tensor([3, 4]), junk=flags)
    flags[1] = True
    assert labels.junk.tolist() == [True, False]
    assert not labels.query.any()
    assert not labels.distractor.any()
    assert labels.take(np.array([1])).identity.tolist() == [2]
    assert len(labels) == 2


def test_later_changes_of_what_was_given_change_no_label():
    given = np.array([1, 2]), np.array([3, 4]), *(np.array([True, False]) for _ in range(3))
    labels = Labels(*given)
    for array in given:
        array[:] = 0
    assert (labels.identity.tolist(), labels.camera.tolist()) == ([1, 2], [3, 4])
    for flags in (labels.query, labels.distractor, labels.junk):
        assert flags.tolist() == [True, False]
    part = labels.take(np.array([0]))
    labels.identity[0] = 9
    assert part.identity.tolist() == [1]


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64])
def test_whole_numbers_of_any_kind_become_int64(kind):
    labels = Labels(np.array([1, 100], kind), np.array([2, 3], kind))
    assert (labels.identity.dtype, labels.camera.dtype) == (np.int64, np.int64)
    assert labels.identity.tolist() == [1, 100]
    assert (Labels([], []).identity.dtype, Labels([], []).junk.dtype) == (np.int64, bool)


def test_a_number_beyond_64_bits_with_a_sign_is_refused_with_its_row():
    largest = 2**63 - 1
    assert Labels(np.array([largest], np.uint64), [1]).identity.tolist() == [largest]
    large = np.array([7, largest + 1], np.uint64)  # as int64 it would be the smallest number
    with pytest.raises(InputError, match=f"identity: row 1 must be at most {largest}, got {largest + 1}"):
        Labels(large, [1, 2])
    with pytest.raises(InputError, match=f"camera: row 1 must be at most {largest}, got {largest + 1}"):
        Labels([1, 2], large)


@pytest.mark.parametrize("flag", ["query", "distractor", "junk"])
@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 5], "int64"), ([0.0, 1.0], "float64"), (["", "False"], "<U5"), ([None, True], "object")],
)
def test_flags_that_are_not_bool_are_refused_with_what_they_are(flag, values, kind):
    with pytest.raises(InputError, match=f"{flag} must be bool, one entry a tracklet, got {kind}"):
        Labels([1, 2], [1, 2], **{flag: values})


def test_flags_may_be_lists_tensors_or_columns():
    for flags in ([True, False], torch.tensor([True, False]), pd.Series([True, False])):
        assert Labels([1, 2], [1, 2], junk=flags).junk.tolist() == [True, False]


@pytest.mark.parametrize("values", [[1.5, 2.0], ["a", "b"], [True, False]])
def test_labels_are_whole_numbers(values):
    with pytest.raises(InputError, match="identity must be whole numbers"):
        Labels(values, [1, 2])


def test_flags_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"junk must have one entry a tracklet"):
        Labels([1, 2], [1, 2], junk=[True])


def test_an_empty_side_is_refused():
    one = Labels([1], [1], query=[True])
    with pytest.raises(InputError, match="got 0 and 1"):
        pair(Labels([], []), one, EMBEDDED)
    with pytest.raises(InputError, match=r"minus-queries-no-distractors.*got 1 and 0"):
        pair(one, one, MINUS_BOTH)

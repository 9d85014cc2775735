"""Which pairs a protocol ranks, against a double loop; and what labels refuse."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.retrieval.labels import Labels, candidates
from sttreid.retrieval.protocol import (
    EMBEDDED,
    MARKET,
    MARS_OFFICIAL,
    MINUS_BOTH,
    MINUS_QUERIES,
    NO_DISTRACTORS,
    PROTOCOLS,
)
from sttreid.runtime.errors import InputError
from tests.retrieval.conftest import problem


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(PROTOCOLS[:9]), st.integers(1, 12), st.integers(1, 40))
def test_candidates_are_those_of_a_double_loop(seed, protocol, queries, gallery):
    sides = problem(seed, queries, gallery, identities=5, cameras=3)
    query, labels = sides.query, sides.gallery
    kept = [
        j
        for j in range(gallery)
        if not labels.junk[j]
        and not ("queries" in protocol.gallery and labels.query[j])
        and not ("distractors" in protocol.gallery and labels.distractor[j])
    ]
    if not kept:
        with pytest.raises(InputError, match="at least 1 query and 1 gallery tracklet"):
            candidates(query, labels, protocol)
        return
    ranked = candidates(query, labels, protocol)
    assert ranked.rows.tolist() == kept
    assert (ranked.junk, ranked.left_out) == (labels.junk.sum(), gallery - len(kept) - labels.junk.sum())
    assert ranked.distractors == labels.distractor[kept].sum()
    for i in range(queries):
        same = [j for j in kept if query.identity[i] == labels.identity[j]]
        matches = [j for j in same if query.camera[i] != labels.camera[j]]
        negatives = [j for j in kept if j not in same]
        if protocol.excluded == "same camera":
            negatives = [j for j in negatives if query.camera[i] != labels.camera[j]]
        of_query = ranked.same_query == i
        assert ranked.rows[ranked.same_column[of_query]].tolist() == same
        assert ranked.rows[ranked.same_column[of_query & ranked.is_match]].tolist() == matches
        rows, is_match = ranked.of_query(i)
        assert rows.tolist() == sorted(matches + negatives)
        assert rows[is_match].tolist() == matches
        assert (ranked.matches[i], ranked.negatives[i]) == (len(matches), len(negatives))


def test_cameras_of_frames_are_refused_where_those_of_tracklets_are_meant():
    # evaluators that collected one camera per frame kept most same-camera matches in the gallery
    lengths = [3, 1, 2]
    per_frame = np.repeat([1, 2, 1], lengths)
    with pytest.raises(
        InputError, match=r"camera must have one entry per tracklet, as the 3 identities have.*\(6,\)"
    ):
        Labels([1, 1, 2], per_frame)


def test_neither_the_query_nor_its_other_fragments_are_ranked():
    labels = Labels([1, 1, 1, 2], [1, 1, 2, 1])
    ranked = candidates(labels, labels, EMBEDDED)
    assert ranked.matches.tolist() == [1, 1, 2, 0]
    assert ranked.negatives.tolist() == [1, 1, 1, 3]


def test_identity_zero_is_a_distractor_only_if_it_is_flagged():
    plain, flagged = (
        Labels([0, 0, 1], [1, 2, 1], distractor=flags) for flags in ([False] * 3, [True, True, False])
    )
    assert candidates(Labels([0], [1]), plain, NO_DISTRACTORS).matches.tolist() == [1]
    with pytest.raises(InputError, match="query 0: its identity 0 must not be that of a distractor"):
        candidates(Labels([0], [1]), flagged, NO_DISTRACTORS)


def test_flags_are_false_by_default():
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


@pytest.mark.parametrize("kind", ["i1", "u1", "i4", "u4", "i8", "u8", ">i4", ">u8"])
def test_integers_of_any_type_become_int64(kind):
    labels = Labels(np.array([1, 100], kind), np.array([2, 3], kind))
    assert (labels.identity.dtype, labels.camera.dtype) == (np.int64, np.int64)
    assert labels.identity.tolist() == [1, 100]
    assert (Labels([], []).identity.dtype, Labels([], []).junk.dtype) == (np.int64, bool)


@pytest.mark.parametrize("kind", ["<u8", ">u8"])
def test_a_number_beyond_64_bits_with_a_sign_is_refused_with_its_row(kind):
    largest = 2**63 - 1
    assert Labels(np.array([largest], kind), [1]).identity.tolist() == [largest]
    large = np.array([7, largest + 1], kind)  # as int64 it would be the smallest number
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
    with pytest.raises(InputError, match=f"{flag} must be bool, one entry per tracklet, got {kind}"):
        Labels([1, 2], [1, 2], **{flag: values})


def test_flags_may_be_lists_tensors_or_columns():
    for flags in ([True, False], torch.tensor([True, False]), pd.Series([True, False])):
        assert Labels([1, 2], [1, 2], junk=flags).junk.tolist() == [True, False]


@pytest.mark.parametrize("values", [[1.5, 2.0], ["a", "b"], [True, False], np.array([1, 2], "m8[s]")])
def test_labels_are_integers(values):
    with pytest.raises(InputError, match="identity must be integers"):
        Labels(values, [1, 2])


def test_flags_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"junk must have one entry per tracklet"):
        Labels([1, 2], [1, 2], junk=[True])


def test_an_empty_side_is_refused():
    single = Labels([1], [1], query=[True], distractor=[False])
    with pytest.raises(InputError, match="got 0 and 1"):
        candidates(Labels([], []), single, EMBEDDED)
    with pytest.raises(InputError, match=r"minus-queries-no-distractors.*got 1 and 0"):
        candidates(single, single, MINUS_BOTH)


@pytest.mark.parametrize(
    ("protocol", "needed"),
    [(MINUS_QUERIES, ["query"]), (NO_DISTRACTORS, ["distractor"]), (MINUS_BOTH, ["query", "distractor"])],
)
def test_a_gallery_without_the_flag_of_what_a_protocol_leaves_out_is_refused(protocol, needed):
    query, flags = Labels([1], [1]), {name: [False, False] for name in needed}
    assert len(candidates(query, Labels([1, 2], [2, 2], **flags), protocol).rows) == 2
    for missing in needed:
        others = {name: values for name, values in flags.items() if name != missing}
        gallery = Labels([1, 2], [2, 2], **others)
        for labels in (gallery, gallery.take(np.arange(2))):
            with pytest.raises(InputError, match=f"protocol {protocol.name} .* flag {missing},"):
                candidates(query, labels, protocol)


def test_the_identity_of_junk_without_a_flag_is_not_ranked_in_silence():
    query, rows = Labels([1], [1]), ([1, 2, -1, -1], [2, 2, 2, 3])
    for protocol in (MARS_OFFICIAL, MARKET, EMBEDDED):
        with pytest.raises(InputError, match=r"identity -1, .* flag junk .* row 2"):
            candidates(query, Labels(*rows), protocol)
    flags = np.array([False, False, True, True])
    assert candidates(query, Labels(*rows, junk=flags), MARS_OFFICIAL).rows.tolist() == [0, 1]
    assert len(candidates(query, Labels(*rows, junk=[False] * 4), MARS_OFFICIAL).rows) == 4
    assert len(candidates(query, Labels(*rows, distractor=flags), MARS_OFFICIAL).rows) == 4

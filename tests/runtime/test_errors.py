"""A message is a sentence on one line, whatever names it tells."""

import pickle

import pytest

from sttreid.runtime.errors import InputError, PlaceError

HOSTILE = "a\nerror: b\r\x1b[31m\0\u2028\u202e\x85"


@pytest.mark.parametrize("error", [InputError(f"f: got {HOSTILE}"), PlaceError(HOSTILE, "is damaged")])
def test_a_name_breaks_no_line_and_commands_no_terminal(error: InputError) -> None:
    assert str(error).isprintable()
    assert r"\x1b[31m" in str(error)


def test_other_scripts_stay_readable() -> None:
    sentence = "Zürich/学校\u3000/é: must be a file"
    assert str(InputError(sentence)) == sentence


def test_several_sentences_have_a_line_each_in_other_processes_too() -> None:
    error = InputError("one", "two\nhalves")
    for same in (error, pickle.loads(pickle.dumps(error))):
        assert str(same).split("\n") == ["one", r"two\nhalves"]

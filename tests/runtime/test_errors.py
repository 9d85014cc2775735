"""A message is a sentence on one line, whatever names it tells."""

import pickle

import pytest

from sttreid.runtime.errors import SENTENCE, InputError, PlaceError, shortened

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


@pytest.mark.parametrize("letter", ["9", "\n", "\x1b"])
def test_a_sentence_that_quotes_a_long_value_keeps_its_beginning_and_end(letter: str) -> None:
    error = InputError(f"a.txt, line 1: got {letter * 10**6} in column 7", "b.txt: is empty")
    first, second = str(error).split("\n")
    assert first.startswith("a.txt, line 1: got ")
    assert first.endswith(" in column 7")
    assert SENTENCE // 2 < len(first) <= SENTENCE
    assert second == "b.txt: is empty"


def test_each_line_of_a_message_is_shortened_by_itself() -> None:
    message = "\n".join([f"a{'x' * 10**6}b", "c" * SENTENCE])
    first, second = shortened(message).split("\n")
    assert (first[0], first[-1], second) == ("a", "b", "c" * SENTENCE)
    assert len(first) <= SENTENCE

from pathlib import Path

import pytest

from sttreid.data.published import text_lists
from sttreid.data.published.text_lists import read_lines
from sttreid.runtime.errors import InputError


@pytest.mark.parametrize("text", [1, 4, 1000])
def test_lists_have_either_line_end_and_may_start_with_a_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: int
) -> None:
    monkeypatch.setattr(text_lists, "CHARACTERS", text)
    path = tmp_path / "list.txt"
    for content in (b"a b\r\nc\r\n\r\n", b"\xef\xbb\xbfa b\nc", b"a b \nc\n"):
        path.write_bytes(content)
        assert read_lines(path).to_pylist() == ["a b", "c"]
    path.write_bytes(b"a\n\nc")
    assert read_lines(path).to_pylist() == ["a", "", "c"], (
        "an empty line counts, or all numbers after it would be wrong"
    )


def test_a_list_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "device.txt").symlink_to("/dev/zero")  # which has no end
    for name in ("folder.txt", "device.txt"):
        with pytest.raises(InputError, match=f"{name}: the list must be a file"):
            read_lines(tmp_path / name)

import shutil

import pytest

from bench import result_page


@pytest.mark.skipif(not any(map(shutil.which, result_page.BROWSERS)), reason="no browser")
def test_a_page_is_loaded_and_filtered() -> None:
    file, elements, load, chosen = result_page.figures(tracklets=80, rounds=1)
    assert 0.01 < file.ours < 5
    assert elements.ours > 80
    assert load.ours > 0
    assert chosen.ours > 0


def test_where_no_browser_is_installed_the_file_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_page, "BROWSERS", ())
    file, rest = result_page.figures(tracklets=80, rounds=1)
    assert file.ours > 0
    assert rest.ours is None

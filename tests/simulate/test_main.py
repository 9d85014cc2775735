from pathlib import Path
from types import SimpleNamespace

import pytest

from sttreid.domain import Domain, Scale
from sttreid.errors import InputError
from sttreid.simulate import __main__ as command


@pytest.fixture
def params(domain: Domain, scale: Scale, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters of one domain, `tiny`, as if read from a file."""

    def load(path: Path) -> SimpleNamespace:
        assert path == Path("other.yaml")
        return SimpleNamespace(domains={"tiny": domain}, benchmark=scale)

    monkeypatch.setattr(command, "load", load)


@pytest.mark.usefixtures("params")
def test_the_command_renders_the_domain_at_the_benchmarks_scale(
    domain: Domain, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(command, "render", lambda *given: calls.append(given))
    command.main(["tiny", str(tmp_path / "out"), "--params", "other.yaml", "--workers", "1"])
    assert calls == [("tiny", domain, scale, tmp_path / "out", 1)]


@pytest.mark.usefixtures("params")
def test_a_folder_that_is_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        command.main(["tiny", str(tmp_path), "--params", "other.yaml"])


@pytest.mark.usefixtures("params")
def test_an_unknown_domain_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"other\.yaml: domains has no 'moon', only tiny"):
        command.main(["moon", str(tmp_path / "out"), "--params", "other.yaml"])

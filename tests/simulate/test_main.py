from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sttreid.config.domain import Scale
from sttreid.config.params import load
from sttreid.runtime.errors import InputError
from sttreid.simulate import __main__ as command
from sttreid.simulate.manifest import MANIFEST
from tests.tiny import parameters

SMALL = ["identities=6", "distractors=1", "cameras=2", "shortest=6", "longest=6", "width=160", "height=96"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the command asks `render` for."""
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(command, "render", lambda *given: asked.append(given))
    return asked


def scale_of(name: str) -> Scale:
    section = getattr(load(), name)
    return Scale(**{key: getattr(section, key) for key in Scale.__dataclass_fields__})


def test_a_target_at_the_benchmarks_scale_bears_the_versions_name(
    tmp_path: Path, calls: list[tuple[object, ...]]
) -> None:
    command.main(["render", "campus", str(tmp_path / "out"), "--workers", "1"])
    params = load()
    expected = (
        params.domains["campus"],
        scale_of("benchmark"),
        tmp_path / "out",
        1,
        params.benchmark.version,
    )
    assert calls == [("campus", *expected)]


@pytest.mark.parametrize("words", [["campus", "--scale", "identities=9", "train=0.4"], ["unreal"]])
def test_anything_else_bears_no_version(
    tmp_path: Path, calls: list[tuple[object, ...]], words: list[str]
) -> None:
    command.main(["render", words[0], str(tmp_path / "out"), *words[1:]])
    ((_, _, scale, _, workers, version),) = calls
    changed = {"identities": 9, "train": 0.4} if len(words) > 1 else {}
    assert scale == replace(scale_of("benchmark"), **changed)
    assert (workers, version) == (None, None)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["campus", "{tmp}"], "is there already"),
        (["moon", "{tmp}/out"], r"params\.yaml: domains has no 'moon', only unreal, campus"),
        (["campus", "{tmp}/out", "--scale", "people=3"], r"--scale: the key must be one of .*got 'people=3'"),
        (["campus", "{tmp}/out", "--scale", "cameras=two"], r"--scale: cameras should be a valid integer"),
        (["campus", "{tmp}/out", "--scale", "shortest=20"], r"--scale: .*shortest must not be above longest"),
    ],
)
def test_what_cannot_be_rendered_is_refused(tmp_path: Path, words: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        command.main(["render", *(word.replace("{tmp}", str(tmp_path)) for word in words)])
    assert list(tmp_path.iterdir()) == []


def test_a_user_adds_a_domain_by_writing_one_section(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = parameters({})
    content["domains"]["harbour"] = yaml.safe_load(yaml.safe_dump(content["domains"]["winter"]))
    content["domains"]["harbour"]["clothing"]["trolley"] = 1.0
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    folder = tmp_path / "harbour"
    given = ["--params", str(tmp_path / "mine.yaml"), "--workers", "1", "--scale", *SMALL]
    command.main(["render", "harbour", str(folder), *given])
    command.main(["verify", str(folder)])
    assert "Every file" in capsys.readouterr().out
    (folder / "c1.txt").write_text("")
    with pytest.raises(InputError, match=r"c1\.txt: the checksum must be"):
        command.main(["verify", str(folder)])


def test_a_rendering_is_compared_with_the_manifest_of_another_one(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes((rendered / MANIFEST).read_bytes())
    command.main(["verify", str(rendered), "--manifest", str(tmp_path / MANIFEST)])
    with pytest.raises(InputError, match=r"c1\.mp4: is missing"):
        command.main(["verify", str(tmp_path), "--manifest", str(rendered / MANIFEST)])


def test_the_command_draws_a_sheet(rendered: Path, tmp_path: Path) -> None:
    command.main(["sheet", str(rendered), str(tmp_path / "sheet.jpg"), "--identities", "2"])
    assert (tmp_path / "sheet.jpg").stat().st_size > 1000

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sttreid.config.conversion import dump
from sttreid.config.domain import DEFAULT_SCALE, Benchmark, Domain
from sttreid.runtime.errors import InputError
from sttreid.simulate import commands
from sttreid.simulate.manifest import MANIFEST

SMALL = {
    "identities": 6, "distractors": 1, "cameras": 2, "min_frames": 6, "max_frames": 6, "width": 128,
    "height": 96,
}  # fmt: skip
BENCHMARK = dump(DEFAULT_SCALE) | {"identities": 12, "version": "v7", "domains": ["harbour"]}


@pytest.fixture
def checkout(domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two domains and a benchmark of one of them."""
    folder = tmp_path / "domains"
    folder.mkdir()
    for name in ("harbour", "airport"):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(dump(domain)))
    (folder / "benchmark.yaml").write_text(yaml.safe_dump(BENCHMARK))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The arguments of each rendering that a command starts."""
    arguments: list[tuple[object, ...]] = []
    monkeypatch.setattr(commands.dataset, "render", lambda *given: arguments.append(given))
    return arguments


def test_a_width_with_other_bytes_in_each_run_is_refused(
    checkout: Path, domain: Domain, calls: list[tuple[object, ...]]
) -> None:
    slow = replace(domain, sensor=replace(domain.sensor, preset="medium"))
    (checkout / "domains" / "airport.yaml").write_text(yaml.safe_dump(dump(slow)))
    with pytest.raises(InputError, match=r"airport: width must be a multiple of 128 .*; got 320"):
        commands.render("airport", checkout / "out", SMALL | {"width": 320})
    assert not calls
    commands.render("airport", checkout / "out", SMALL | {"width": 384})
    assert len(calls) == 1


def test_the_options_replace_values_of_the_default_scale(
    checkout: Path, domain: Domain, calls: list[tuple[object, ...]]
) -> None:
    commands.render("harbour", Path("out"), {"identities": 9, "train": 0.4}, workers=2)
    scale = replace(DEFAULT_SCALE, identities=9, train=0.4)
    assert calls == [("harbour", domain, scale, Path("out"), 2, None)]


def test_a_pinned_set_has_the_scale_and_the_version_of_the_benchmark(
    checkout: Path, domain: Domain, calls: list[tuple[object, ...]]
) -> None:
    commands.render("harbour", Path("out"), benchmark=True)
    scale = Benchmark(**(BENCHMARK | {"domains": ("harbour",)}))
    assert calls == [("harbour", domain, scale, Path("out"), None, "v7")]


def test_a_second_benchmark_has_its_own_domains_scale_and_version(
    checkout: Path, domain: Domain, calls: list[tuple[object, ...]]
) -> None:
    second = BENCHMARK | {"identities": 30, "version": "v8", "domains": ["airport"]}
    (checkout / "domains" / "benchmark-v8.yaml").write_text(yaml.safe_dump(second))
    commands.render("airport", Path("out"), benchmark=True)
    scale = Benchmark(**(second | {"domains": ("airport",)}))
    assert calls == [("airport", domain, scale, Path("out"), None, "v8")]
    calls.clear()
    commands.render("harbour", Path("out"), benchmark=True)
    assert calls[0][-1] == "v7"


def test_a_file_gives_the_domain_and_its_name(
    domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[object, ...]]
) -> None:
    (tmp_path / "pier.yaml").write_text(yaml.safe_dump(dump(domain)))
    monkeypatch.chdir(tmp_path)
    commands.render("pier.yaml", Path("out"))
    assert calls == [("pier", domain, DEFAULT_SCALE, Path("out"), None, None)]


@pytest.mark.parametrize(
    ("domain_name", "scale", "benchmark", "reason"),
    [
        ("harbuor", {}, False, r"^domains: .*airport, harbour, got 'harbuor' \(did you mean 'harbour'\?\)"),
        ("none.yaml", {}, False, r"^none\.yaml: cannot be read"),
        ("harbour", {"persons": 3}, False, r"^scale options: .*persons"),
        ("harbour", {"min_frames": 20}, False, r"^scale options: .*min_frames.*20 and 16"),
        ("airport", {}, True, r"^domains: .*pinned .*harbour, got 'airport'"),
        ("harbour", {"identities": 9}, True, r"^--benchmark: .*v7"),
    ],
)
def test_what_cannot_be_rendered_is_refused(
    checkout: Path, domain_name: str, scale: dict[str, int], benchmark: bool, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        commands.render(domain_name, checkout / "out", scale, benchmark)
    assert sorted(path.name for path in checkout.iterdir()) == ["domains"]


def test_an_existing_folder_is_not_replaced(checkout: Path) -> None:
    (checkout / "out").mkdir()
    with pytest.raises(InputError, match=r"^out: must not exist"):
        commands.render("harbour", Path("out"), SMALL)


def test_without_a_folder_of_domains_the_error_asks_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^domains: .*\*\.yaml, got 'campus'"):
        commands.render("campus", Path("out"))


def test_a_new_domain_file_is_rendered_and_verified(checkout: Path, domain: Domain) -> None:
    content = dump(domain)
    content["clothing"]["trolley"] = 1.0
    (checkout / "domains" / "pier.yaml").write_text(yaml.safe_dump(content))
    folder = checkout / "pier"
    commands.render("pier", folder, SMALL, workers=1)
    commands.verify([folder])
    (folder / "c1.txt").write_text("")
    with pytest.raises(InputError, match=r"c1\.txt: the checksum must be"):
        commands.verify([folder])


def test_a_rendering_is_compared_with_the_manifest_of_another(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes((rendered / MANIFEST).read_bytes())
    commands.verify([rendered], tmp_path / MANIFEST)
    with pytest.raises(InputError, match=r"c1\.mp4: is missing"):
        commands.verify([tmp_path], rendered / MANIFEST)


def test_a_sheet_is_drawn(rendered: Path, tmp_path: Path) -> None:
    commands.sheet(rendered, tmp_path / "sheet.jpg", identities=2)
    assert (tmp_path / "sheet.jpg").stat().st_size > 1000

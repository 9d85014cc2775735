"""The README says what the repository holds: its numbers, its files, its parameters."""

import json
import re

import yaml

from tests.tiny import ROOT, override

README = (ROOT / "README.md").read_text()
METRICS = json.loads((ROOT / "metrics" / "cross_domain.json").read_text())
TARGETS = ("campus", "winter", "station")
NEAR = 0.0006  # the README rounds to 0.1 per cent, the metrics to 4 digits


def row(name: str) -> list[float]:
    """The per cents of the first table row that starts with a name."""
    found = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", README, re.MULTILINE)
    assert found, name
    return [float(word) / 100 for word in found.group(1).split("|")]


def test_the_means_are_those_of_the_metrics() -> None:
    names = {
        "fine-tuned, in-domain": "in_domain",
        "fine-tuned, cross-domain": "cross_domain",
        "direct transfer from synthetic": "direct_transfer",
        "untrained network": "untrained",
        "colour histogram": "histogram",
        "colour histogram, channels equalised per tracklet": "equalised",
    }
    for name, key in names.items():
        rank1, average = row(name)
        assert abs(rank1 - METRICS["rank1"][key]) < NEAR, name
        assert abs(average - METRICS["mAP"][key]) < NEAR, name


def test_the_matrix_is_that_of_the_metrics() -> None:
    for source in (*TARGETS, "unreal"):
        for value, target in zip(row(source), TARGETS, strict=True):
            assert abs(value - METRICS["rank1"][source][target]) < NEAR, (source, target)


def test_the_shifts_are_those_of_the_metrics() -> None:
    apart = json.loads((ROOT / "metrics" / "domains.json").read_text())["accuracy"]
    rank1 = METRICS["rank1"]
    found = re.findall(r"^\| (\w+), (\w+) \| (\S+) \| (\S+) \| (\S+) \|$", README, re.MULTILINE)
    assert len(found) == 6
    for one, other, accuracy, *drops in found:
        pair = apart.get(one, {}).get(other) or apart[other][one]
        assert abs(float(accuracy) / 100 - pair) < NEAR, (one, other)
        for source, target, drop in ((one, other, drops[0]), (other, one, drops[1])):
            if target == "unreal":
                assert drop == "-"
            else:
                expected = rank1[target][target] - rank1[source][target]
                assert abs(float(drop) / 100 - expected) < NEAR, (source, target)


def test_the_tree_names_every_module() -> None:
    for path in (ROOT / "src" / "sttreid").rglob("*.py"):
        if path.name not in ("__init__.py", "__main__.py") and path.parent.name != "stages":
            assert path.name in README, path


def test_the_overrides_of_the_examples_exist() -> None:
    examples = re.findall(r"-S '?([\w.]+)=", README)
    assert examples
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    override(content, dict.fromkeys(examples, 0))


def test_pictures_are_small() -> None:
    pictures = sorted((ROOT / "docs" / "pictures").iterdir())
    assert len(pictures) >= 4
    assert all(path.stat().st_size <= 300_000 for path in pictures)


def test_nothing_is_left_to_be_filled_in() -> None:
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        assert not re.search(r"@[A-Z]+@", path.read_text()), path


def test_pictures_and_linked_files_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


EFFECT = re.compile(r"[+-]\d+\.\d \[-?\d+\.\d, -?\d+\.\d\]")
CLAIMS = {  # how a row of the table starts -> the comparison that it tells of
    "RQ1: the transformers": "global-vanilla",
    "... and the CNN": "global-cnn",
    "RQ2": "constrained-vanilla",
    "RQ3": "global-constrained",
    "RQ4": "full-longer",
}


def test_every_effect_that_is_told_stands_in_a_study_s_results() -> None:
    results = "".join(path.read_text() for path in sorted((ROOT / "metrics").glob("*/*.md")))
    for path in (ROOT / "README.md", ROOT / "docs" / "findings.md"):
        told = EFFECT.findall(path.read_text())
        assert len(told) >= 10
        assert not [effect for effect in told if effect not in results], path


def test_the_verdicts_are_those_of_the_study() -> None:
    contrasts = json.loads((ROOT / "metrics" / "claims" / "claims.json").read_text())["contrasts"]
    for start, name in CLAIMS.items():
        found = re.search(rf"^\| {re.escape(start)}.*\|.*\| (.*) \| (.*) \|$", README, re.MULTILINE)
        assert found, start
        for cell, setting in zip(found.groups(), ("in_domain", "cross_domain"), strict=True):
            one = contrasts[name][setting]["rank1"]
            ends = (100 * one[key] for key in ("effect", "low", "high"))
            assert cell.strip("*").startswith(one["verdict"]), (start, setting)
            assert "{:+.1f} [{:.1f}, {:.1f}]".format(*ends) in cell, (start, setting)


def test_the_table_of_synthetic_identities_is_that_of_the_study() -> None:
    found = json.loads((ROOT / "metrics" / "scaling" / "curves.json").read_text())["curves"]["full"]
    points = [name for name in found["in_domain"] if name.isdigit()]
    assert len(points) >= 4
    assert max(map(int, points)) >= 16 * min(map(int, points))
    for name in points:
        settings = ("direct_transfer", "in_domain", "cross_domain")
        for value, setting in zip(row(name), settings, strict=True):
            assert abs(value - found[setting][name]["value"]) < NEAR, (name, setting)


def test_the_learning_curves_are_those_of_the_study() -> None:
    found = json.loads((ROOT / "metrics" / "curves" / "curves.json").read_text())["curves"]
    arms = ("vanilla", "constrained", "cnn")
    points = [name for name in found["cnn"]["in_domain"] if name.isdigit()]
    assert len(points) >= 3
    for name in points:
        for value, arm in zip(row(f"{name} people"), arms, strict=True):
            assert abs(value - found[arm]["in_domain"][name]["value"]) < NEAR, (name, arm)

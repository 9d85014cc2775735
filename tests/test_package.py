"""The wheel in a clean virtual environment outside of any checkout: model, evaluator and command.

The environment holds the wheel and, as links, the packages that its metadata names without extras, and their
dependencies: a package that is needed but not named cannot be imported. Nothing is downloaded.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import sttreid

ROOT = Path(__file__).parents[1]
BUILD = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")  # what setuptools reads besides src
OPTIONAL = (
    *("altair", "av", "cv2", "dask", "decord", "distributed", "dvc", "faiss", "h5py", "norfair"),
    *("numba", "sklearn", "submitit", "vl_convert"),
)
TOOLS = ("docs", "audit")  # extras that only their make targets install
ROOMS = {  # package of an extra -> the only folders and modules that import it, and the stages that use them
    "altair": ("report", "cli"),  # the command compare writes numbers as the report does
    "av": ("simulate", "data"),
    "dask": ("runner",),
    "decord": ("data",),
    "distributed": ("runner",),
    "dvc": ("cli", "runner"),
    "h5py": ("data",),
    "jinja2": ("report", "cli"),
    "numba": ("simulate",),
    "ruamel": ("config", "runner"),
    "psutil": ("runner",),
    "sklearn": ("analysis", "report"),
    "submitit": ("runner",),
    "vl_convert": ("report",),
}
EVERY_MODULE = """
import importlib, json, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
import sttreid
missing = {}
for module in pkgutil.walk_packages(sttreid.__path__, "sttreid."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            missing[module.name] = error.name.partition(".")[0]
print(json.dumps(missing))
"""
USE = """
import sys
from pathlib import Path

import numpy as np
import sttreid
from sttreid.config.params import Backbone, Model
from sttreid.model.network import Network
from sttreid.model.weights import save

assert Path(sttreid.__file__).is_relative_to(sys.prefix)
backbone = Backbone(width=2, layer1=1, layer2=1, layer3=1, last_stride=1, weights=None)
settings = Model(
    standardise=False, stt=True, gt=True, width=8, heads=2, spatial_layers=1, temporal_layers=1,
    global_layers=1, mlp_ratio=2.0, dropout=0.0, parts=2, backbone=backbone,
)
save(Network(settings, 3, 32, 16, 5), settings, Path("model.pt"))
model = sttreid.load_model("model.pt")
rng = np.random.default_rng(0)
tracklets = rng.integers(0, 256, (6, 4, 48, 24, 3)).astype(np.uint8)
features = np.stack([sttreid.embed(model, images) for images in tracklets])
labels = sttreid.Labels([0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1])
print(sttreid.evaluate(features, features, labels, labels, sttreid.protocol("market")).numbers()["queries"])
for side in ("query", "gallery"):
    np.savez(f"{side}.npz", features=features, identity=labels.identity, camera=labels.camera)
"""


def closure(requirements: list[str]) -> dict[str, Distribution]:
    """The installed distributions that requirements without extras name, and those that they name in turn."""
    seen: dict[str, Distribution] = {}
    queue = list(requirements)
    while queue:
        requirement = Requirement(queue.pop())
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name.lower() not in seen:
            package = distribution(requirement.name)
            seen[requirement.name.lower()] = package
            queue += package.requires or []
    return seen


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: setuptools writes next to what it reads."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in BUILD:
        shutil.copy(ROOT / name, folder)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "-w", str(folder), str(folder)], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the clean environment."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, symlinks=True)
    interpreter = folder / "bin" / "python"
    install = ["install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(interpreter), *install], check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (metadata,) = packages.glob("sttreid-*.dist-info")
    for package in closure(Distribution.at(metadata).requires or []).values():
        files = package.files or []
        for name in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(str(package.locate_file(name))))
    return interpreter


def run(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run an interpreter or a script of its environment, without the checkout on any path."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(python.with_name(words[0])), *words[1:]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_holds_types_templates_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert {"sttreid/py.typed", "sttreid/simulate/body.npz"} <= names
    data = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and not {"__pycache__"} & set(path.parts) and "egg-info" not in str(path)
    }
    assert data <= names
    assert "sttreid = sttreid.cli.commands:main" in entry_points


def test_the_clean_environment_has_no_package_of_an_extra(python: Path, tmp_path: Path) -> None:
    code = f"from importlib.util import find_spec; print([n for n in {OPTIONAL} if find_spec(n)])"
    assert run(python, tmp_path, "python", "-c", code).stdout.strip() == "[]"


def test_model_evaluator_and_command_work_outside_of_any_checkout(python: Path, tmp_path: Path) -> None:
    used = run(python, tmp_path, "python", "-c", USE)
    assert (used.returncode, used.stdout.strip()) == (0, "6"), used.stderr
    words = ("--query", "query.npz", "--gallery", "gallery.npz", "--protocol", "market", "--json")
    evaluated = run(python, tmp_path, "sttreid", "evaluate", *words)
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["queries"] == 6
    helped = run(python, tmp_path, "sttreid", "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    listed = run(python, tmp_path, "sttreid", "bench")
    assert (listed.returncode, listed.stderr.count("\n")) == (2, 1)


def test_a_command_without_its_extra_names_what_to_install(python: Path, tmp_path: Path) -> None:
    done = run(python, tmp_path, "sttreid", "simulate", "verify", "nowhere")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert re.search(r"sttreid\[simulate\]", done.stderr)


def test_only_the_rooms_of_an_extra_need_its_packages(python: Path, tmp_path: Path) -> None:
    done = run(python, tmp_path, "python", "-c", EVERY_MODULE)
    assert done.returncode == 0, done.stderr
    missing = json.loads(done.stdout)
    for module, package in missing.items():
        room = module.split(".")[1]
        assert package in ROOMS, f"{module} needs {package}, which no extra installs"
        assert room in (*ROOMS[package], "stages"), f"{module} needs {package}"


def test_every_module_can_be_imported_where_decord_has_no_wheel(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", EVERY_MODULE, "decord"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {}


def test_every_public_name_can_be_imported_and_unknown_ones_are_refused() -> None:
    assert set(sttreid.__all__) <= set(dir(sttreid))
    for name in sttreid.__all__:
        assert getattr(sttreid, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        sttreid.nothing  # noqa: B018


def test_the_search_can_be_called_whatever_was_imported_before() -> None:
    code = (
        "import sttreid, sttreid.search.gallery\n"
        "try: sttreid.search('hall.mp4:17', None, 0)\n"
        "except sttreid.InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "at least 1, got 0" in done.stdout


def test_import_of_the_package_loads_nothing_heavy() -> None:
    code = "import sys, sttreid; print({'torch', 'numpy', 'pandas', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_developer_s_extra_holds_all_others() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (inner,) = (Requirement(line) for line in extras["dev"] if line.startswith("sttreid["))
    assert inner.extras == set(extras) - {"dev", *TOOLS}


def test_the_citation_agrees_with_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == sttreid.__version__
    assert (citation["title"], citation["license"]) == (project["name"], project["license"])

"""Make a playground, a small repository in which an experiment takes seconds: `make playground`.

It is a clone of this checkout's last commit with the parameters of profiles/smoke.txt and two target sets of
a few identities. Its pipeline has run, everything is committed, and its own data-store holds the run: it can
be cloned and pulled as this repository can. Nothing in it leads back to this checkout.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sttreid.config.params import PARAMS
from sttreid.runtime.errors import InputError
from sttreid.simulate import commands

LOCK = "dvc.lock"
PROFILE = Path("profiles") / "smoke.txt"
KEPT = ("campus", "winter")  # of the targets: each costs a training run
SMALLER: dict[str, Any] = {  # than the profile, which keeps the pinned target sets
    "simulate.width": 384,
    "simulate.height": 216,
    "compare.crops": 20,
    "visualise.perplexity": 5,
    "visualise.points": 8,
}
# of a target: 4, 2 and 6 of the 12 identities, walks of three clips
SCALE: dict[str, Any] = {"max_frames": 6, "distractors": 2, "train": 0.34, "validation": 0.17}


def main(folder: Path) -> None:
    """Clone, shrink, run, commit.

    Raises:
        InputError: the folder exists, or a command failed.
    """
    if folder.exists():
        raise InputError(f"{folder}: must not exist yet; choose another with PLAYGROUND=FOLDER")
    _call(Path(), "git", "clone", "-q", ".", str(folder))
    _call(folder, "git", "remote", "remove", "origin")
    if subprocess.run(["git", "config", "user.email"], cwd=folder, stdout=subprocess.DEVNULL).returncode:
        _call(folder, "git", "config", "user.name", "sttreid")
        _call(folder, "git", "config", "user.email", "sttreid@localhost")
    if published := [path.relative_to(folder) for path in (folder / "models").glob("*.dvc")]:
        _call(folder, "dvc", "pull", "-q", *map(str, published))
    (folder / LOCK).unlink()  # of other parameters and data; DVC rewrites it whole after each stage
    render_targets(folder / "data", shrink(folder))
    _call(folder, "dvc", "add", "-q", "data")
    _call(folder, "dvc", "repro")
    _call(folder, "git", "add", "-A")
    _call(folder, "tools/data_store.sh")
    _call(folder, "git", "commit", "-q", "-m", "Run the pipeline of the playground")


def shrink(folder: Path) -> dict[str, Any]:
    """Write the overrides into params.yaml as DVC would (comments stay), without the other targets.

    Returns:
        The parameters.
    """
    yaml = YAML()
    content: dict[str, Any] = yaml.load(folder / PARAMS)
    lines = [line for line in PROFILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    overrides = {key: yaml.load(value) for key, _, value in (line.partition("=") for line in lines) if key}
    for key, value in (overrides | SMALLER).items():
        *parents, name = key.split(".")
        section = content
        for parent in parents:
            section = section[parent]
        section[name] = value
    dropped = [target for target in content["targets"] if target not in KEPT]
    for target in dropped:
        del content["datasets"][target]
        content["targets"].remove(target)
    yaml.dump(content, folder / PARAMS)
    pipeline = folder / "dvc.yaml"
    plotted = tuple(f"metrics/plots/training/{target}-" for target in dropped)
    kept = [line for line in pipeline.read_text().splitlines() if not line.strip().startswith(plotted)]
    pipeline.write_text("\n".join(kept) + "\n")
    return content


def render_targets(data: Path, params: dict[str, Any]) -> None:
    """Render each target in its own domain, at the scale of the synthetic set."""
    scale = {name: value for name, value in params["simulate"].items() if name != "domain"} | SCALE
    for target in params["targets"]:
        commands.render(target, data / target, scale, workers=1)


def _call(folder: Path, *words: str) -> None:
    """Run a command.

    Raises:
        InputError: it failed; it has said why.
    """
    if subprocess.run(words, cwd=folder, check=False).returncode:
        raise InputError(f"{folder}: {' '.join(words)} failed, see above")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit("error: must be the folder of the playground: make playground PLAYGROUND=FOLDER")
    try:
        main(Path(sys.argv[1]))
        print(f"{sys.argv[1]}: made. cd {sys.argv[1]} && export PYTHONPATH=$PWD/src")
    except InputError as problem:
        sys.exit(f"error: {problem}")

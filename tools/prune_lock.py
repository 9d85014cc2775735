"""Remove from dvc.lock the stages that dvc.yaml no longer has: python tools/prune_lock.py.

DVC keeps the entry of a variant, a target or a seed that was dropped. It runs nothing for it, but readers of
dvc.lock still see models that nothing makes.
"""

import sys
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.serialize import modify_yaml

from sttreid.config.conversion import read_yaml
from sttreid.runtime.errors import InputError

LOCK = "dvc.lock"


def main(root: Path) -> list[str]:
    """Write dvc.lock without these stages; all other lines stay as they are.

    Returns:
        The names of the removed stages.

    Raises:
        InputError: dvc.yaml or dvc.lock cannot be read.
    """
    recorded = read_yaml(root / LOCK)["stages"]
    try:
        with Repo(str(root)) as repo, repo.lock:
            stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
            present = {stage.name for stage in stages if Path(stage.path_in_repo) == Path("dvc.yaml")}
            gone = [name for name in recorded if name not in present]
            if gone:
                with modify_yaml(str(root / LOCK), fs=repo.fs) as content:
                    for name in gone:
                        del content["stages"][name]
    except DvcException as error:
        raise InputError(f"{root / 'dvc.yaml'}: {' '.join(str(error).split())}") from error
    return gone


if __name__ == "__main__":
    try:
        removed = main(Path.cwd())
    except InputError as problem:
        sys.exit(f"error: {problem}")
    print(f"{LOCK}: removed {', '.join(removed)}" if removed else f"{LOCK}: dvc.yaml has all its stages")

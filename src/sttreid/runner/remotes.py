"""DVC remotes that share finished cells."""

from pathlib import Path
from typing import Any

from dvc.repo import Repo

from sttreid.config.conversion import hint
from sttreid.runtime.errors import InputError


def remote_settings(folder: Path, name: str) -> dict[str, Any]:
    """The settings of a remote of a DVC repository; paths in them are absolute or relative to their file.

    Raises:
        InputError: there is no remote of that name.
    """
    with Repo(str(folder)) as repo:
        remotes = repo.config["remote"]
        if name not in remotes:
            known = (
                f"there are {', '.join(remotes)}{hint(name, list(remotes))}" if remotes else "there is none"
            )
            raise InputError(f"--push: no DVC remote {name!r}, {known}; dvc remote add makes one")
        return dict(remotes[name])


def copy_remote(source: Path, target: Path, name: str) -> None:
    """Let the DVC repository ``target`` use a remote of ``source``, in its untracked configuration.

    Raises:
        InputError: ``source`` has no remote of that name.
    """
    settings = remote_settings(source, name)
    with Repo(str(target)) as repo, repo.config.edit("local") as config:
        config["remote"][name] = settings

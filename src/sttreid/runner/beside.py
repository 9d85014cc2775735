"""What another study has published whose variants take part in a study (``study.beside``)."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sttreid.config.experiments import check_published
from sttreid.config.params import build
from sttreid.config.publications import PROVENANCE, copy_seeds, newest
from sttreid.config.study import BESIDE
from sttreid.runtime.errors import InputError


def lay_beside(root: Path, run: Path, params: dict[str, Any], path: Path) -> list[str]:
    """Give a run what another study has published whose variants take part in it.

    Args:
        root: of a checkout.
        run: the study's folder.
        params: all its parameters.
        path: of its parameter file.

    Returns:
        Remarks on the origin.

    Raises:
        InputError: that study is not published, or cannot be compared with this one.
    """
    shutil.rmtree(run / BESIDE, ignore_errors=True)
    beside = params["study"].get("beside")
    if beside is None:
        return []
    name = beside["study"]
    if (found := newest(root, name)) is None:
        raise InputError(f"{path}: study.beside must be published first: sttreid run-study {name}")
    folder, origin = found
    check_published(build(params, path), origin.params, path, folder / PROVENANCE)
    copy_seeds(folder, origin, run / BESIDE / name)
    return [f"{', '.join(beside['variants'])}: of {folder.relative_to(root).as_posix()}"]


def check_sets_beside(root: Path, params: Mapping[str, Any], name: str, stores: Mapping[str, str]) -> None:
    """Check that the variants of another study were trained and tested on the sets of this one.

    Args:
        root: of a checkout.
        params: all parameters of the study.
        name: of the other study, which is published.
        stores: data set -> MD5 of its tracklet store.

    Raises:
        InputError: one of the sets was another one.
    """
    found = newest(root, name)
    assert found is not None, "lay_beside has found it"
    folder, origin = found
    for each in (params["ablation"]["source"], *params["targets"]):
        if (theirs := origin.tracklets.get(each)) != stores.get(each):
            rule = f"the tracklets of {each} must be those of this study, {stores.get(each)}"
            raise InputError(f"{folder / PROVENANCE}: {rule}, to be compared with it; got {theirs}")

"""DVC's graph of a pipeline as cells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any, Final

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage

from sttreid.config.conversion import hint
from sttreid.runner.cells import Cell
from sttreid.runtime.errors import InputError
from sttreid.runtime.numerics import DEVICE

USES_DEVICE: Final = "src/sttreid/runtime/numerics.py"  # a stage that depends on it chooses a device


@dataclass(frozen=True)
class Graph:
    """The cells of a pipeline.

    Attributes:
        cells: name -> cell, in the order of dvc.yaml.
        changed: cells whose command, parameters, dependencies or outputs differ from dvc.lock.
        altered: cell -> a .dvc file whose files it reads, and which differ from it or are missing.
    """

    cells: Mapping[str, Cell]
    changed: frozenset[str]
    altered: Mapping[str, Path] = field(default_factory=dict)

    def needed(self, targets: Iterable[str]) -> set[str]:
        """The cells of the targets and all that they wait for, directly or not.

        Args:
            targets: names of cells, or of stages: all their cells.

        Raises:
            InputError: a target is neither.
        """
        found: set[str] = set()
        queue = [name for target in targets for name in self._named(target)]
        while queue:
            name = queue.pop()
            if name not in found:
                found.add(name)
                queue += self.cells[name].after
        return found

    def outdated(self) -> set[str]:
        """The changed cells and all that wait for them, directly or not; DVC may find some unchanged."""
        found: set[str] = set()
        for name in self._in_order():
            if name in self.changed or self.cells[name].after & found:
                found.add(name)
        return found

    def subset(self, names: Iterable[str]) -> dict[str, Cell]:
        """Some cells, in the order of dvc.yaml."""
        chosen = set(names)
        return {name: cell for name, cell in self.cells.items() if name in chosen}

    def _in_order(self) -> list[str]:
        """Every cell after those that it waits for."""
        order: dict[str, None] = {}

        def visit(name: str) -> None:
            if name not in order:
                for other in sorted(self.cells[name].after):
                    visit(other)
                order[name] = None

        for name in self.cells:
            visit(name)
        return list(order)

    def _named(self, target: str) -> list[str]:
        names = [name for name in self.cells if target in (name, name.partition("@")[0])]
        if not names:
            stages = list(dict.fromkeys(name.partition("@")[0] for name in self.cells))
            known = hint(target, [*stages, *self.cells])
            raise InputError(f"dvc.yaml: has no stage {target!r}, but {', '.join(stages)}{known}")
        return names


def read_graph(folder: Path) -> Graph:
    """The graph of the pipeline in a DVC repository, and what is out of date in it.

    Frozen stages and files that ``dvc add`` tracks are no cells.

    Raises:
        InputError: dvc.yaml, dvc.lock or a parameter file is invalid, or another DVC command locks the
            repository.
    """
    try:
        with Repo(str(folder)) as repo, repo.lock:
            graph = repo.index.graph
            stages = [stage for stage in graph if isinstance(stage, PipelineStage) and not stage.frozen]
            names = {stage: _name(stage) for stage in stages}
            cells = [
                Cell(
                    name=name,
                    after=frozenset(names[other] for other in graph.successors(stage) if other in names),
                    gpus=int(_uses_device(stage)),
                )
                for stage, name in names.items()
            ]
            changed = frozenset(name for stage, name in names.items() if stage.changed())
            altered = {
                names[stage]: Path(source.relpath)
                for source in graph
                if not isinstance(source, PipelineStage)
                and any(out.workspace_status() for out in source.outs)
                for stage in graph.predecessors(source)
                if stage in names
            }
    except DvcException as error:
        raise InputError(f"{folder / 'dvc.yaml'}: {' '.join(str(error).split())}") from error
    return Graph({cell.name: cell for cell in cells}, changed, altered)


def _name(stage: Any) -> str:
    """As DVC addresses the stage in the root of its repository; its own ``addressing`` starts from ours."""
    file = Path(stage.path_in_repo)
    return str(stage.name) if file == Path("dvc.yaml") else f"{file.as_posix()}:{stage.name}"


def _uses_device(stage: Any) -> bool:
    return environ.get(DEVICE) != "cpu" and any(dep.def_path == USES_DEVICE for dep in stage.deps)

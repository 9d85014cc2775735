"""A stage as a command: its sections by name from params.yaml, its errors as one sentence, its machine."""

import inspect
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sttreid.config import consistency, paths
from sttreid.config.conversion import parse
from sttreid.config.params import PARAMS, Params, load
from sttreid.config.variants import resolve
from sttreid.data.registry import check_datasets, protocol_name
from sttreid.retrieval.protocol import protocol
from sttreid.runtime import live
from sttreid.runtime.errors import DivergedError, InputError
from sttreid.runtime.files import write_json
from sttreid.runtime.provenance import machine


def run(main: Callable[..., None], arguments: list[str] | None = None) -> None:
    """Call a stage's ``main``: its parameters name sections of params.yaml or arguments of the command line.

    A parameter called ``params`` receives the whole of :class:`Params`. An input error ends the process with
    status 1 and one sentence on stderr, before any output is replaced. The last line on stderr is the run
    time. While a stage trains, its history grows (:mod:`sttreid.runtime.live`).
    """
    words, stage = list(sys.argv[1:] if arguments is None else arguments), Path(inspect.getfile(main)).stem
    start = time.monotonic()
    try:
        params = load()
        check_datasets(params.datasets)
        _check_protocols(params)
        consistency.check(params)
        given = bind(main, params, list(words))
        with live.histories(_histories(stage, given, params)):
            main(**given)
    except (InputError, DivergedError) as error:
        sys.exit(f"error: {error}")
    name = " ".join((stage, *words))
    seconds = sum(os.times()[:4])  # of this process, its imports and its workers
    print(f"{name}: {seconds:.0f} CPU seconds, {time.monotonic() - start:.0f} seconds", file=sys.stderr)


def _histories(stage: str, arguments: Mapping[str, Any], params: Params) -> list[Path]:
    """The outputs of a training stage that grow while it trains, in the order of its runs."""
    seed = arguments.get("seed", 0)
    if stage == "pretrain":
        return [paths.history("cross_domain", seed, params.simulate.domain)]
    if stage == "finetune":
        return [paths.history("cross_domain", seed, arguments["source"])]
    if stage == "ablate" and (variant := arguments["variant"]) in params.ablation.variants:
        first = [paths.pretraining_history(variant, seed)] * bool(resolve(params, variant, seed).pretrain)
        return [*first, paths.history("ablation", seed, variant)]
    return []


def _check_protocols(params: Params) -> None:
    """Check the protocol of every target before training, because models are tested only afterwards."""
    for target in params.targets:
        dataset = params.datasets[target]
        try:
            protocol(params.evaluate.of(protocol_name(dataset)).protocol)
        except InputError as error:
            key = "evaluate.protocol" if params.evaluate.protocol else f"datasets.{target}.protocol"
            raise InputError(f"{PARAMS}: {key}: {error}") from error


def bind(main: Callable[..., None], params: Params, words: list[str]) -> dict[str, object]:
    """The keyword arguments of a stage's ``main``.

    Raises:
        InputError: an argument is missing, unexpected or of the wrong type, or params.yaml lacks a section.
    """
    sections = {field.name for field in fields(Params)}
    stage = f"stage {Path(inspect.getfile(main)).stem}"  # main's __module__ is only "__main__"
    arguments: dict[str, object] = {}
    for name, parameter in inspect.signature(main).parameters.items():
        if name == "params":
            arguments[name] = params
        elif name in sections:
            arguments[name] = getattr(params, name)
            if arguments[name] is None:
                raise InputError(f"{stage}: params.yaml must have the section {name}, got none")
        elif words:
            arguments[name] = parse(parameter.annotation, words.pop(0), f"{stage}: the argument {name}")
        else:
            raise InputError(f"{stage}: the argument {name!r} is missing on the command line")
    if words:
        raise InputError(f"{stage}: unexpected arguments {' '.join(words)!r}")
    return arguments


def record_machine(stage: str, *words: object) -> None:
    """Write the machine of this process, after :func:`sttreid.runtime.numerics.prepare`."""
    write_json(paths.machine(stage, *words), asdict(machine()))

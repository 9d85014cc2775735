"""A stage as a command: its sections by name from params.yaml, its errors as one sentence, its machine."""

import hashlib
import inspect
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from sttreid.config import consistency, fingerprint, paths
from sttreid.config.conversion import parse
from sttreid.config.fingerprint import FINGERPRINT
from sttreid.config.params import PARAMS, Params, load
from sttreid.config.variants import resolve
from sttreid.data.registry import check_datasets, protocol_name
from sttreid.retrieval.protocol import protocol
from sttreid.runtime import live
from sttreid.runtime.errors import DivergedError, InputError, shortened
from sttreid.runtime.failures import machine_failure
from sttreid.runtime.files import read_json, write_json
from sttreid.runtime.live import Curve
from sttreid.runtime.pins import advice, pin_of, take_back
from sttreid.runtime.provenance import machine

COST: Final = "cost.json"


@dataclass(frozen=True)
class Cost:
    """What a stage took; of a resumed training, since it was resumed.

    Attributes:
        stage: without the words of its command line.
        cpu: seconds, user and system, with imports and workers.
        seconds: by the clock, without imports.
        megabytes: peak memory (10^6 bytes) of the process that was largest.
    """

    stage: str
    cpu: float
    seconds: float
    megabytes: float


def run(main: Callable[..., None], arguments: list[str] | None = None) -> None:
    """Call a stage's ``main``: its parameters name sections of params.yaml or arguments of the command line.

    A parameter called ``params`` receives the whole of :class:`Params`. An input error, a full or read-only
    disk, a lack of memory and a killed worker end the process with status 1 and one sentence on stderr,
    before any output is replaced. The last line on stderr is the :class:`Cost`, which is also written to the
    stage's scratch folder. While a stage trains, its curve grows (:mod:`sttreid.runtime.live`).
    """
    words, stage = list(sys.argv[1:] if arguments is None else arguments), Path(inspect.getfile(main)).stem
    start = time.monotonic()
    given: dict[str, object] = {}
    kept = paths.scratch(live.KEPT)
    live.give_back(kept)
    try:
        params = load()
        check_datasets(params.datasets)
        _check_protocols(params)
        consistency.check(params)
        given = bind(main, params, list(words))
        _check_tables(given)
        with live.curves(_curves(stage, given, params), kept):
            main(**given)
    except KeyboardInterrupt:  # Ctrl-C, or a runner that stops; training ends by itself, at a checkpoint
        sys.exit("error: interrupted; the same command does the stage anew")
    except Exception as error:
        expected = isinstance(error, InputError | DivergedError)
        sentence = str(error) if expected else machine_failure(error)
        if sentence is None:  # a bug, whose traceback helps
            raise
        sys.exit("\n".join([f"error: {shortened(sentence)}", *_refused(given)]))
    cost = Cost(stage, sum(os.times()[:4]), time.monotonic() - start, _peak_memory())
    figures = f"{cost.cpu:.0f} CPU seconds, {cost.seconds:.0f} seconds, {cost.megabytes:.0f} MB"
    print(f"{' '.join((stage, *words))}: {figures}", file=sys.stderr)
    with suppress(OSError):  # the outputs are complete, and this is not one of them
        write_json(paths.scratch("-".join((stage, *words))) / COST, asdict(cost))


def _peak_memory() -> float:
    """MB (10^6) of the process that was largest: this one, or one that it started and waited for."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit, status = 1 if sys.platform == "darwin" else 1024, Path("/proc/self/status")
    if status.exists():  # getrusage counts what the process that started this one had
        own = int(status.read_text().partition("VmHWM:")[2].split()[0])
    return max(own, started) * unit / 1e6


def _curves(stage: str, arguments: Mapping[str, Any], params: Params) -> list[Curve | None]:
    """The plot tables that grow while a stage trains, in the order of its runs; a study has none."""
    if stage not in ("pretrain", "finetune", "ablate") or paths.home() != Path():
        return []
    seed = arguments["seed"]
    if stage != "ablate":
        name = arguments.get("source", params.simulate.domain)
        return [_curve(paths.curve("cross_domain", seed, name), fingerprint.of_default_run(params))]
    if (variant := arguments["variant"]) not in params.ablation.variants:
        return []
    made_by = fingerprint.of_variants(params)[variant]
    pretraining: list[Curve | None] = [None] if resolve(params, variant, seed).pretrain else []
    return [*pretraining, _curve(paths.curve("ablation", seed, variant), made_by)]


def _curve(path: Path, made_by: str) -> Curve:
    import pandas as pd

    from sttreid.analysis.results import training_curve, tsv  # statistics, which other stages need not load

    def text(rows: Sequence[Mapping[str, float]]) -> str:
        return tsv(training_curve(pd.DataFrame(rows)).assign(**{FINGERPRINT: made_by}))

    return Curve(path, text)


def _root(arguments: Mapping[str, object]) -> Path | None:
    """The folder of the data set that a stage reads; None: it reads none."""
    name, datasets = arguments.get("name"), arguments.get("datasets")
    if not isinstance(datasets, Mapping) or name not in datasets:
        return None
    return Path(datasets[name].root)


def _check_tables(arguments: Mapping[str, object]) -> None:
    """Compare the tables of a rendered set with its manifest; the reader compares videos and tracks.

    Raises:
        InputError: a table has another checksum.
    """
    root = _root(arguments)
    if root is None or not (root / "manifest.json").is_file():
        return
    content = read_json(root / "manifest.json")
    tables = content.get("tables") if isinstance(content, dict) else None
    for name, expected in (tables if isinstance(tables, dict) else {}).items():
        if (root / name).is_file():
            with (root / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != expected:
                raise InputError(
                    f"{root / name}: the checksum must be the manifest's {expected}, got {digest}"
                )


def _refused(arguments: Mapping[str, object]) -> list[str]:
    """Take back the pin of changed files that a stage did not accept, and say so."""
    root = _root(arguments)
    pin = None if root is None else pin_of(root)
    if pin is None or not take_back(pin):
        return []
    return [f"{pin}: is again as in git; DVC had pinned the changed files", advice(pin)]


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

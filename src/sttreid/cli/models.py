"""The commands about models: what a file holds, its export, its publication."""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sttreid.cli import checkout
from sttreid.cli.wording import examples
from sttreid.runtime import numerics
from sttreid.runtime.errors import InputError

if TYPE_CHECKING:
    from sttreid.catalogue.card import Card

MODEL_HELP = "A model's file, or the name of a published model"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=examples("sttreid info", "sttreid info campus.pt --json", "sttreid info gallery.parquet")
    )(info)
    app.command(
        epilog=examples(
            "sttreid export stt-v1 --format onnx",
            "sttreid export campus.pt --format safetensors -o campus.safetensors",
        )
    )(export)
    app.command(epilog=examples("sttreid publish stt-v1 artifacts/models/cross_domain/0/campus.pt"))(publish)


class Format(StrEnum):
    """What ``export`` writes."""

    ONNX = "onnx"
    SAFETENSORS = "safetensors"


def info(
    file: Annotated[
        str | None,
        typer.Argument(help=f"{MODEL_HELP}, a gallery or a calibration; none: the newest published model."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON; of a model.")] = False,
) -> None:
    """Print what a file holds.

    Of a model: its architecture, input, parameters, card and calibration.
    """
    numerics.choose()  # before torch is loaded
    from sttreid.catalogue import shelf
    from sttreid.cli.calibrating import calibration_beside, describe_calibration
    from sttreid.cli.searching import describe_file

    if file is not None and Path(file).suffix in (".parquet", ".json"):
        if json_:
            raise InputError(f"{file}: --json describes models, got a gallery or a calibration")
        lines = list(describe_file(Path(file)))
    else:
        path = shelf.locate(file)
        if json_:
            print(json.dumps(_facts(path), indent=1, ensure_ascii=False))
            return
        lines = describe_model(path) + describe_calibration(calibration_beside(path))
    print("\n".join(lines))


def describe_model(path: Path) -> list[str]:
    """A model and its card as lines of text.

    Raises:
        InputError: the file is no model of this project, or the file with its card's name is no card.
    """
    from sttreid.catalogue import card

    facts, found = _facts(path), card.beside(path)
    height, width = facts["image_size"]
    rows = {
        "file": f"{path} ({facts['bytes'] / 1e6:.1f} MB)",
        "branches": ", ".join(facts["branches"]),
        "input": f"clips of {facts['frames']} frames, {height}x{width} pixels",
        "feature": f"{facts['feature']} numbers",
        "parameters": f"{facts['parameters']:,}",
        "identities": f"{facts['classes']} in training",
        "model": ", ".join(f"{key} {value}" for key, value in _flat(facts["model"])),
    }
    lines = [f"{key:<12} {value}" for key, value in rows.items()]
    return lines + (["card         none"] if found is None else _card_lines(found))


def _facts(path: Path) -> dict[str, Any]:
    """What JSON says about a model."""
    from sttreid.catalogue import card
    from sttreid.catalogue.foreign import restore
    from sttreid.config.conversion import dump
    from sttreid.model.weights import read_architecture

    network, found = restore(path), card.beside(path)
    norms = {name: value for name, value in network.state_dict().items() if name.endswith(".norm.weight")}
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        **dump(read_architecture(path)),
        "branches": list(network.branches),
        "feature": sum(len(norms[f"identity_heads.{name}.norm.weight"]) for name in network.branches),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "card": None if found is None else dump(found),
    }


def export(
    model: Annotated[str, typer.Argument(help=f"{MODEL_HELP}.")],
    format_: Annotated[Format, typer.Option("--format", help="Of the file.")] = Format.ONNX,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the model's name in this folder.")
    ] = None,
) -> None:
    """Write a model in another format.

    ONNX takes any number of clips of T frames. Loading safetensors never executes code.
    """
    from sttreid.catalogue import onnx, shelf
    from sttreid.catalogue.foreign import restore
    from sttreid.model.weights import read_architecture, save

    path = shelf.locate(model)
    target = output or Path(f"{path.stem}.{format_}")
    if target.suffix != f".{format_}":
        raise InputError(f"--output: must end with .{format_}, got {str(target)!r}")
    if target.exists():
        raise InputError(f"{target}: exists; remove it, or give another --output")
    network = restore(path)
    if format_ is Format.ONNX:
        onnx.export_onnx(network, target)
    else:
        save(network, read_architecture(path).model, target)
    print(f"{target}: written")


def publish(
    name: Annotated[str, typer.Argument(help="Of the published model, with a version, such as stt-v1.")],
    model: Annotated[str, typer.Argument(help="A model in dvc.lock, as a path from the checkout's root.")],
    description: Annotated[
        str, typer.Option(help="One sentence for dvc.yaml and the card.")
    ] = "Spatiotemporal Transformer for video person re-identification, trained on rendered people",
) -> None:
    """Publish a trained model in this checkout.

    Writes models/NAME.safetensors and its card, lists it in dvc.yaml, and pushes it to the DVC remote.
    """
    from sttreid.cli import publication

    card = publication.publish(checkout.root(), name, model, description)
    print("\n".join(_card_lines(card)))
    print("\nPublish it with:")
    print(f"  git add -f data-store && git add models dvc.yaml && git commit -m 'Publish {name}'")
    print(f"  git tag -a {name}@v1.0.0 -m {name}    # what `dvc artifacts get` looks for")


def _flat(section: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key -> value of a section's fields."""
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _card_lines(card: "Card") -> list[str]:
    """A card as text."""
    lines = [
        f"card         {card.name}, {card.published}: {card.description}",
        f"trained on   {', '.join(each.name for each in card.training.sets)}",
        f"commit       {card.training.commit}, dvc.lock {card.training.lock}",
    ]
    for score in card.scores:
        seen = "trained on its training split" if score.seen else "not trained on it"
        lines.append(
            f"{score.dataset:<12} {score.metric} {100 * score.value:.1f} "
            f"[{100 * score.low:.1f}, {100 * score.high:.1f}] %, protocol {score.protocol}, "
            f"{score.queries} queries of {score.identities} people, {seen}"
        )
    return [*lines, f"use          {card.intended_use}", *(f"limit        {limit}" for limit in card.limits)]

"""The commands ``sttreid simulate ...``: render, verify and show synthetic camera videos."""

from pathlib import Path
from typing import Annotated

import typer

from sttreid.cli.wording import examples

app = typer.Typer(
    rich_markup_mode=None,
    help="Render or verify synthetic camera videos.",
    epilog=examples("sttreid simulate render campus out --benchmark", "sttreid simulate verify out"),
)


@app.command(
    epilog=examples(
        "sttreid simulate render campus out --benchmark",
        "sttreid simulate render unreal out --identities 3000 --cameras 34 --seed 7",
        "sttreid simulate render campus out --identities 672 --first-identity 221 --cameras 6",
        "sttreid simulate render my_domain.yaml out --identities 20",
    )
)
def render(
    domain: Annotated[str, typer.Argument(help="A file of domains/ by its name, or a .yaml file.")],
    folder: Annotated[Path, typer.Argument(help="Is created; must not exist.")],
    benchmark: Annotated[
        bool,
        typer.Option("--benchmark", help="Use the frozen scale of the benchmark; takes no scale options."),
    ] = False,
    identities: Annotated[
        int | None, typer.Option(help="Identities with tracklets in several cameras.")
    ] = None,
    first_identity: Annotated[
        int | None, typer.Option(help="Number of the first identity, odd; earlier ones are left out.")
    ] = None,
    distractors: Annotated[int | None, typer.Option(help="Further identities, never a query.")] = None,
    cameras: Annotated[int | None, typer.Option(help="Number of cameras.")] = None,
    min_frames: Annotated[int | None, typer.Option(help="Of a tracklet.")] = None,
    max_frames: Annotated[int | None, typer.Option(help="Of a tracklet.")] = None,
    width: Annotated[int | None, typer.Option(help="Of the videos, in pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Of the videos, in pixels.")] = None,
    fps: Annotated[int | None, typer.Option(help="Frames per second.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed draws another data set.")] = None,
    train: Annotated[float | None, typer.Option(help="Share of the identities (0 to 1).")] = None,
    validation: Annotated[
        float | None, typer.Option(help="Share of the identities; the rest is the test.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; the bytes do not depend on them.")] = None,
) -> None:
    """Render camera videos, tracks and ground truth."""
    from sttreid.runtime.files import writing
    from sttreid.simulate.commands import render

    scale = {
        "identities": identities,
        "first_identity": first_identity,
        "distractors": distractors,
        "cameras": cameras,
        "min_frames": min_frames,
        "max_frames": max_frames,
        "width": width,
        "height": height,
        "fps": fps,
        "seed": seed,
        "train": train,
        "validation": validation,
    }
    given = {name: value for name, value in scale.items() if value is not None}
    with writing(folder):
        render(domain, folder, given, benchmark, workers)
    print(f"{folder}: rendered")


@app.command(
    epilog=examples(
        "sttreid simulate verify data/campus data/winter",
        "sttreid simulate verify out --manifest data/campus/manifest.json",
    )
)
def verify(
    folders: Annotated[list[Path], typer.Argument(help="Rendered data sets.")],
    manifest: Annotated[
        Path | None, typer.Option(help="Of another rendering; default: each folder's own.")
    ] = None,
) -> None:
    """Compare files with the checksums of their manifest."""
    from sttreid.simulate.commands import verify

    verify(folders, manifest)
    print("Every file has the checksum of its manifest.")


@app.command(epilog=examples("sttreid simulate sheet out sheet.jpg --identities 24"))
def sheet(
    folder: Annotated[Path, typer.Argument(help="A rendered data set.")],
    path: Annotated[Path, typer.Argument(help="The JPEG file to write.")],
    identities: Annotated[int, typer.Option(help="How many identities it shows.")] = 24,
) -> None:
    """Draw a contact sheet of a rendered data set.

    Its rows are identities, its columns cameras and moments.
    """
    from sttreid.simulate.commands import sheet

    sheet(folder, path, identities)
    print(f"{path}: drawn")

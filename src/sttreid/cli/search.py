"""The commands of a search: embed, search, link, calibrate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from sttreid.cli.wording import examples, pairs
from sttreid.runtime import numerics
from sttreid.runtime.errors import InputError

if TYPE_CHECKING:
    from sttreid.config.datasets import Decoder
    from sttreid.config.track_format import TrackFormat

MODEL_HELP = "A model's file, or the name of a published model; default: the newest published one."
ModelOption = Annotated[str | None, typer.Option("--model", "-m", help=MODEL_HELP)]
CalibrationOption = Annotated[
    Path | None, typer.Option(help="As `sttreid calibrate` writes it; default: that of the gallery.")
]

FormatOption = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="KEY=VALUE",
        help="Says how the tracks are written where detection would err: KEY is flavour, first_frame, class,"
        " separator, columns or plausibility (docs/tracks.md); repeatable.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=examples(
            "sttreid embed hall.mp4 lobby.mp4 -m campus.pt -o gallery.parquet",
            "sttreid embed hall.mp4 -m campus.pt -o gallery.parquet --tracks hall_bytetrack.txt",
            "sttreid embed hall.mp4 -m campus.pt -o gallery.parquet --detect motion",
            "sttreid embed day1.mp4 day2.mp4 -m campus.pt -o g.parquet --camera hall --camera hall",
        )
    )(embed)
    app.command(
        epilog=examples(
            "sttreid search gallery.parquet --query hall.mp4:17 -o result.html",
            "sttreid search gallery.parquet --all --cross-camera-only -o result.csv",
            "sttreid search millions.parquet --all --approximate -o result.csv",
            "sttreid search gallery.parquet --images suspect/ -m campus.pt -k 20 -o result.json",
        )
    )(search)
    app.command(
        epilog=examples(
            "sttreid link gallery.parquet -o identities.csv",
            "sttreid link gallery.parquet -o identities.csv --tracks hall.txt --mot linked/",
        )
    )(link)
    app.command(
        epilog=examples(
            "sttreid calibrate campus.pt --tracklets artifacts/tracklets/campus",
            "sttreid calibrate campus.pt --gallery labelled.parquet --rate 0.001",
        )
    )(calibrate)


def embed(
    videos: Annotated[list[Path], typer.Argument(help="Videos, or folders of images named by their frames.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The gallery to write (.parquet).")],
    model: ModelOption = None,
    tracks: Annotated[
        list[Path] | None,
        typer.Option(
            help="Once per video, in their order: its tracks file, or the folder of labels that ultralytics"
            " writes; default: CAM1.txt (.csv, .tsv) beside CAM1.mp4."
        ),
    ] = None,
    detect: Annotated[
        str | None,
        typer.Option(
            metavar="motion|MODULE:ATTRIBUTE",
            help="No tracks: find the people first, and keep their tracks beside the output. motion is for"
            " cameras that stand still, and finds what moves and is upright: who stands still is lost, people"
            " close together are one. MODULE:ATTRIBUTE is a detector of your own (docs/search.md).",
        ),
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(help="Once per video, in their order: the name of its camera; default: the video's."),
    ] = None,
    numbers: Annotated[
        str,
        typer.Option(
            metavar="own|shared",
            help="own: each video has its own track numbers; shared: equal numbers in two videos are one"
            " person, and the number is its label.",
        ),
    ] = "own",
    labels: Annotated[
        Path | None, typer.Option(help="Who is who: a CSV file with the columns video, track and identity.")
    ] = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Store film strips.")] = True,
    max_frame_gap: Annotated[
        int | None, typer.Option(help="A track whose next box is more frames later becomes two tracklets.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes, each with one video at a time.")] = 1,
    decoder: Annotated[
        str,
        typer.Option(
            metavar="decord|pyav", help="pyav reads what an error says to read with decode.decoder: pyav."
        ),
    ] = "decord",
    format_: FormatOption = None,
) -> None:
    """Embed the tracklets of videos.

    The gallery has one row per tracklet. An interrupted run resumes after the last finished video.
    """
    numerics.choose()  # before torch is loaded
    from sttreid.cli.searching import write_gallery
    from sttreid.search.videos import EmbedSettings

    chosen = cast("Decoder", decoder)  # the settings check it
    settings = EmbedSettings(images, max_frame_gap, tracks=_track_format(format_), decoder=chosen)
    recordings = (videos, tracks or [], camera or [])
    for line in write_gallery(output, model, recordings, settings, numbers, labels, workers, detect):
        print(line)


def search(
    gallery: Annotated[Path, typer.Argument(help="As `sttreid embed` writes it.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A page (.html, with a .json beside it), .json or .csv.")
    ],
    query: Annotated[
        list[str] | None, typer.Option(help="A tracklet of the gallery, VIDEO:TRACK; repeatable.")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="A text file with a query per line.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every tracklet of the gallery is a query.")] = False,
    images: Annotated[
        list[Path] | None,
        typer.Option(help="A picture of one person, or a folder of crops of one; repeatable."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help=f"For --images. {MODEL_HELP}")] = None,
    k: Annotated[int, typer.Option("-k", help="Number of answers.")] = 10,
    cross_camera_only: Annotated[
        bool, typer.Option("--cross-camera-only", help="Leave out the query's own camera.")
    ] = False,
    rerank: Annotated[bool, typer.Option("--rerank", help="Order by k-reciprocal re-ranking.")] = False,
    approximate: Annotated[
        bool,
        typer.Option("--approximate", help="Many queries in a gallery of a million tracklets; needs faiss."),
    ] = False,
    calibration: CalibrationOption = None,
) -> None:
    """Find the person of a query in a gallery.

    With a calibration, each answer has a probability, and a query without an answer that is near enough is
    not here.
    """
    numerics.choose()  # before torch is loaded
    from sttreid.cli.searching import Method, Queries, write_answers

    given = Queries(tuple(query or ()), queries, all_, tuple(images or ()), model)
    how = Method(k, cross_camera_only, rerank, approximate)
    for line in write_answers(gallery, output, given, how, calibration):
        print(line)


def link(
    gallery: Annotated[Path, typer.Argument(help="As `sttreid embed` writes it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The identities to write (.csv).")],
    threshold: Annotated[
        float | None, typer.Option(help="Largest mean distance within a person; default: calibrated.")
    ] = None,
    calibration: CalibrationOption = None,
    tracks: Annotated[
        list[Path] | None, typer.Option(help="A tracks file of a video of the same name; with --mot.")
    ] = None,
    mot: Annotated[
        Path | None, typer.Option(help="A folder for tracks with global identities (MOTChallenge).")
    ] = None,
    format_: FormatOption = None,
) -> None:
    """Give every tracklet a global identity.

    Two tracklets that overlap in time in one video never share one.
    """
    numerics.choose()  # before torch is loaded
    from sttreid.cli.searching import write_links

    formats = _track_format(format_)
    for line in write_links(gallery, output, threshold, calibration, tracks or [], mot, formats):
        print(line)


def calibrate(
    model: Annotated[str, typer.Argument(help="A model's file, or the name of a published model.")],
    tracklets: Annotated[
        list[Path] | None, typer.Option(help="A tracklet store with a validation split; repeatable.")
    ] = None,
    gallery: Annotated[
        list[Path] | None, typer.Option(help="A gallery of this model with identities; repeatable.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Wanted false-match rate of pairs, a fraction between 0 and 1; default: 0.003."),
    ] = None,
    real: Annotated[
        bool | None,
        typer.Option(
            "--real/--rendered",
            help="Whether the labelled tracklets show real people; default: those of galleries do, those of"
            " stores do not.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Default: MODEL.calibration.json, beside a model of your own."),
    ] = None,
) -> None:
    """Learn from labelled tracklets what a distance means.

    The result maps a distance to a probability, and holds the distance beyond which a person is not here.
    """
    numerics.choose()  # before torch is loaded
    from sttreid.cli.calibrating import write_calibration

    if bool(tracklets) == bool(gallery):
        raise InputError("calibrate needs --tracklets or --gallery, not both")
    for line in write_calibration(model, tracklets or [], gallery or [], rate, real, output):
        print(line)


def _track_format(words: list[str] | None) -> "TrackFormat":
    """The options ``--format``."""
    from sttreid.config.conversion import parse
    from sttreid.config.track_format import TrackFormat
    from sttreid.runtime.documents import parse_yaml

    given = pairs(words or [], "--format")
    content = {key: parse_yaml(value, f"--format {key}") for key, value in given.items()}
    return parse(TrackFormat, content, "--format")

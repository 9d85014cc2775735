"""The command ``sttreid``: search, data sets, simulator, evaluator, experiments, studies and benchmarks.

A command imports what it needs when it runs: ``sttreid --help`` loads neither torch nor pandas. Bad input
ends the process with status 2 and one sentence on stderr. Stages are ``python -m sttreid.stages.NAME``.
"""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sttreid.cli import checkout, models, rendering, running, search
from sttreid.cli.compare import compare
from sttreid.cli.watch import watch
from sttreid.cli.wording import as_written, examples, pairs
from sttreid.runtime.errors import InputError, StageError, shortened

EXTRAS = {  # package -> the extra that installs it
    "altair": "report",
    "av": "simulate",
    "dask": "cluster",
    "decord": "pipeline",
    "distributed": "cluster",
    "dvc": "pipeline",
    "h5py": "pipeline",
    "jinja2": "report",
    "numba": "simulate",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "psutil": "pipeline",
    "ruamel": "pipeline",
    "sklearn": "report",
    "submitit": "cluster",
}


READER_HELP = (
    "A reader: mars, duke_video, ls_vid, ilids_vid, prid2011, unreal_person, footage or cameras; without"
    " FOLDER, a data set of params.yaml."
)
PROTOCOLS = (  # of sttreid.retrieval.protocol, which loads NumPy and pandas
    "market  minus-queries  no-distractors  minus-queries-no-distractors",
    "mars-official  lsvid-official  duke-official",
    "embedded (the rendered sets)  ilids-1 ... ilids-10  prid-1 ... prid-10",
)

app = typer.Typer(
    help="Video-based person re-identification with the Spatiotemporal Transformer.",
    epilog=examples(
        "sttreid embed hall.mp4 lobby.mp4 -m campus.pt -o gallery.parquet",
        "sttreid describe mars /sets/MARS",
        "sttreid evaluate --query q.npz --gallery g.npz --protocol market",
        "sttreid simulate render my_domain.yaml out --identities 20",
    ),
    rich_markup_mode=None,  # plain text: rich would double the start-up time
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(rendering.app, name="simulate")


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process.

    The status is 0, 1 if stages of the pipeline failed, 2 for bad input, or that of a benchmark.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        status = app(words or ["--help"], prog_name="sttreid", standalone_mode=False)
    except typer.TyperException as error:
        _fail(error.format_message())
    except (InputError, StageError) as error:
        _fail(str(error), 1 if isinstance(error, StageError) else 2)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        _fail(f"this command needs the package {package}: pip install 'sttreid[{EXTRAS[package]}]'")
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except (OSError, MemoryError, RuntimeError) as error:
        from sttreid.runtime.failures import machine_failure  # loads pandas

        if (sentence := machine_failure(error)) is None:
            raise
        _fail(sentence)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(sentence: str, status: int = 2) -> NoReturn:
    print(f"error: {shortened(sentence)}", file=sys.stderr)
    sys.exit(status)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from sttreid import __version__

        print(f"sttreid {__version__}")
    elif context.invoked_subcommand is None:
        raise InputError("a command is missing; sttreid --help lists them")


@app.command(
    epilog=examples(
        "sttreid describe mars /sets/MARS",
        "sttreid describe mars /sets/MARS --strict --sheet mars.jpg",
        "sttreid describe ilids_vid /sets/iLIDS-VID -o split=3",
        "sttreid describe campus",
    )
)
def describe(
    name: Annotated[str, typer.Argument(help=READER_HELP)],
    folder: Annotated[Path | None, typer.Argument(help="Where the data set lies.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="KEY=VALUE", help="An option of the reader; repeatable."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="A count that differs from the official one is an error.")
    ] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Also draw tracklets on a contact sheet (.jpg or .png).")
    ] = None,
    tracklets: Annotated[int, typer.Option(help="How many tracklets the sheet shows.")] = 24,
    seed: Annotated[int, typer.Option(help="Of the draw of these tracklets.")] = 0,
) -> None:
    """Print what a data set on disk holds.

    Counts, lengths and, for published sets, the differences from the official counts.
    """
    from sttreid.data.describe import describe

    print(describe(name, folder, pairs(option or [], "--option"), strict, sheet, tracklets, seed))


@app.command(epilog=examples("sttreid index mars /sets/MARS", "sttreid index mars"))
def index(
    name: Annotated[str, typer.Argument(help="A data set of params.yaml whose root is a manifest.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Where it lies; kept in the untracked sets/local.yaml.")
    ] = None,
) -> None:
    """Write the manifest of a data set that lies elsewhere.

    The command checks the data set first. DVC tracks the manifest, sets/NAME.json, instead of the folder.
    """
    from sttreid.data.index import index

    print(index(name, folder))


@app.command(
    epilog=examples(
        "sttreid evaluate --query q.npz --gallery g.npz --protocol market",
        "sttreid evaluate --query q.npy --query-labels q.csv \\",
        "    --gallery g.npy --gallery-labels g.csv --protocol mars-official --json",
        "sttreid evaluate --distances d.npy --query-labels q.csv --gallery-labels g.csv --protocol market",
        "sttreid evaluate --model campus.pt --tracklets artifacts/tracklets/campus --protocol embedded",
    )
    + "\n\n"
    + as_written("Protocols", *PROTOCOLS)
)
def evaluate(
    protocol: Annotated[str, typer.Option(help="Name of the protocol, one of those below.")],
    query: Annotated[
        Path | None, typer.Option(help="Features [Q, D]: .npy, or .npz with features, identity, camera.")
    ] = None,
    gallery: Annotated[Path | None, typer.Option(help="Features [G, D], as --query.")] = None,
    distances: Annotated[
        Path | None, typer.Option(help="Distances [Q, G], smaller is nearer, in place of features.")
    ] = None,
    query_labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV, Parquet or .npz with the columns identity and camera, one row per query; default:"
            " --query, if it is .npz."
        ),
    ] = None,
    gallery_labels: Annotated[
        Path | None, typer.Option(help="As --query-labels; columns distractor, junk and query are flags.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help=f"{models.MODEL_HELP}; needs --tracklets, instead of features.")
    ] = None,
    tracklets: Annotated[Path | None, typer.Option(help="A tracklet store with a test split.")] = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Re-rank by k-reciprocal encoding.")] = False,
    k1: Annotated[int | None, typer.Option(help="Of re-ranking; default: 20.")] = None,
    k2: Annotated[int | None, typer.Option(help="Of re-ranking; default: 6.")] = None,
    weight: Annotated[
        float | None, typer.Option(help="Of the plain distance in re-ranking (lambda); default: 0.3.")
    ] = None,
    tie: Annotated[
        float | None,
        typer.Option(
            help="Distances that differ by no more are tied; default: 1e-9, re-ranked 1e-6. For --distances"
            " of about 1 in single precision: 1e-6."
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    per_query: Annotated[
        Path | None, typer.Option(help="Also write one row per query to this Parquet file (.parquet).")
    ] = None,
) -> None:
    """Compute rank-k, mAP and mINP under a named protocol.

    From features, from distances, or from a model and a tracklet store. docs/evaluation.md defines the
    protocols.
    """
    from sttreid.cli.feature_files import Files, as_json, as_table, evaluate_files
    from sttreid.config.conversion import parse
    from sttreid.config.evaluation import Rerank
    from sttreid.runtime.files import check_apart, check_writable, write_table

    files = Files(query, gallery, distances, query_labels, gallery_labels, model, tracklets)
    if per_query is not None:
        if per_query.suffix != ".parquet":
            raise InputError(f"--per-query: must end in .parquet, got {str(per_query)!r}")
        check_apart([per_query], vars(files).values())
        check_writable(per_query)
    given = {name: value for name, value in (("k1", k1), ("k2", k2), ("weight", weight)) if value is not None}
    if given and not rerank:
        raise InputError(f"--{next(iter(given))}: is of re-ranking and needs --rerank")
    settings = None
    if rerank:
        settings = parse(Rerank, {"enabled": True, "k1": 20, "k2": 6, "weight": 0.3} | given, "--rerank")
    result = evaluate_files(files, protocol, settings, tie)
    print(as_json(result, settings) if json_ else as_table(result, settings), flush=True)
    if per_query is not None:  # after the numbers, which a full disk must not take away
        write_table(per_query, result.per_query)


search.register(app)
app.command(epilog=examples("sttreid compare HEAD", "sttreid compare lr-1 lr-2 --md"))(compare)
models.register(app)
app.command(epilog=examples("sttreid watch", "sttreid watch --once"))(watch)
running.register(app)


@app.command(
    "new-study", epilog=examples("sttreid new-study narrow --from claims model.width=64 'seeds=[0,1]'")
)
def new_study(
    name: Annotated[str, typer.Argument(help="Of the new study.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="What it changes.")
    ] = None,
    source: Annotated[str, typer.Option("--from", help="The study that it starts from.")] = "claims",
) -> None:
    """Create a study, experiments/NAME, and check it."""
    from sttreid.config.experiments import new_study

    for line in new_study(checkout.root(), name, source, overrides or []):
        print(line)
    print(f"experiments/{name}: created; commit it, then `sttreid run-study {name}` runs it")


@app.command("check-study", epilog=examples("sttreid check-study claims"))
def check_study(name: Annotated[str, typer.Argument(help="A folder of experiments/.")]) -> None:
    """Check a study before it trains for hours.

    Its variants, trials and contrasts must fit together.
    """
    from sttreid.config.experiments import check_study

    notes = check_study(checkout.root(), name)
    print("\n".join(notes or [f"experiments/{name}: its variants, trials and contrasts fit together"]))


@app.command(
    epilog=examples("sttreid bench", "sttreid bench --list", "sttreid bench training --help"),
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def bench(
    name: Annotated[
        str | None, typer.Argument(help="A benchmark; none: report, which writes docs/performance.md.")
    ] = None,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Its arguments; --help explains them.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the benchmarks and run none.")] = False,
) -> None:
    """Run the benchmarks of a checkout: those of docs/performance.md, or one.

    They are the modules of the folder bench/.
    """
    folder = checkout.root()
    if not listed:
        raise typer.Exit(checkout.run_benchmark(folder, name or "report", arguments or []))
    benchmarks = checkout.benchmarks(folder)
    width = max(map(len, benchmarks))
    print("\n".join(f"{key:<{width}}  {text}" for key, text in benchmarks.items()))

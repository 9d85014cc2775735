"""What `sttreid embed` costs on one camera's film: `python -m bench.embedding [MODEL VIDEO]`.

By default the published model and the pinned set `campus`, which `dvc pull` brings. The speed stands beside
that of decoding alone; the memory is measured on the film, and on the film ten times in a row.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import sttreid.stages  # chooses the numeric path, before torch is loaded
from bench.costs import cpu, in_process
from bench.figures import Figure, alone, command_line, compared, missing, show
from bench.film_memory import peaks, repeat
from sttreid.data.videos import count_frames, frames
from sttreid.search.videos import EmbedSettings, embed_videos

MODEL, VIDEO = Path("models/stt-v1.safetensors"), Path("data/campus/c1.mp4")
TIMES: Final = (1, 10)


def speed(model: Path, video: Path) -> dict[str, float]:
    """CPU seconds of embedding and of decoding alone, frames, tracklets and boxes."""
    loaded: Any = sttreid.load_model(model)
    count = count_frames(video)
    start = cpu()
    for _ in frames(video, count):
        pass
    decoding = cpu() - start
    start = cpu()
    gallery = embed_videos(loaded, [video], settings=EmbedSettings(max_frame_gap=3))
    embedding = cpu() - start
    counts = {"frames": count, "tracklets": len(gallery), "boxes": int(gallery.tracklets["boxes"].sum())}
    return {"embedding": embedding, "decoding": decoding, **counts}


def figures(
    model: Path = MODEL, video: Path = VIDEO, times: Sequence[int] = TIMES, rounds: int = 2
) -> Iterator[Figure]:
    """What docs/performance.md quotes."""
    absent = [str(path) for path in (model, video) if not path.exists()]
    if absent:
        yield missing("embed a film", f"{' and '.join(absent)}: run dvc pull first")
        return
    runs = [in_process(speed, model, video) for _ in range(rounds)]
    what = f"embed {video.parent.name}/{video.name}"
    speeds = {
        what_of: [run["frames"] / run[what_of] for run in runs] for what_of in ("embedding", "decoding")
    }
    yield compared(what, "frames per CPU-s", speeds["embedding"], "decoding alone", speeds["decoding"])
    for unit in ("tracklets", "boxes"):
        yield alone(what, f"{unit} per CPU-s", [run[unit] / run["embedding"] for run in runs])
    with tempfile.TemporaryDirectory() as folder:
        for number in times:
            film = Path(folder, f"film{number}.mp4")
            count = repeat(video, number, film)
            words = ["embed", str(film), "-m", str(model), "-o", str(film.with_suffix(".parquet"))]
            found = peaks([sys.executable, "-m", "sttreid", *words])
            yield alone(f"embed {count:,} frames: memory, command and decoder", "MB", [found["sum"]])


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = command_line("embedding", __doc__, figures)
    parser.add_argument("model", type=Path, nargs="?", default=MODEL)
    parser.add_argument("video", type=Path, nargs="?", default=VIDEO, help="with its tracks beside it")
    given = parser.parse_args(words)
    show(figures(given.model, given.video))


if __name__ == "__main__":
    main()

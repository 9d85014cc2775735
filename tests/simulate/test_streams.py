import subprocess
import sys

from sttreid.simulate.streams import stream


def test_a_stream_depends_on_every_part_of_its_key() -> None:
    keys = [
        (0, "look", "a", 1),
        (1, "look", "a", 1),
        (0, "path", "a", 1),
        (0, "look", "b", 1),
        (0, "look", "a", 2),
    ]
    assert len({stream(*key).random() for key in keys}) == len(keys)


def test_a_stream_is_the_same_in_another_process() -> None:
    code = "from sttreid.simulate.streams import stream; print(stream(7, 'look', 'campus', 3, 4).random())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(other.stdout) == stream(7, "look", "campus", 3, 4).random()

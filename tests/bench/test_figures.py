import json

import pytest

from bench.figures import (
    Figure,
    alone,
    at_least,
    at_most,
    command_line,
    compared,
    from_json,
    in_words,
    missing,
    to_json,
)


def test_a_ratio_is_the_median_of_the_rounds_ratios_with_its_extremes() -> None:
    figure = compared("decode", "CPU-s", [1.0, 4.0, 9.0], "decord", [1.0, 2.0, 3.0])
    assert (figure.ours, figure.alternative, figure.rounds) == (4.0, 2.0, 3)
    assert (figure.ratio, figure.low, figure.high) == (2.0, 1.0, 3.0)


def test_an_alternative_of_one_round_stands_beside_each_of_ours() -> None:
    figure = compared("re-rank", "CPU-s", [1.0, 2.0, 3.0], "torchreid", [4.0])
    assert (figure.low, figure.ratio, figure.high) == (0.25, 0.5, 0.75)


@pytest.mark.parametrize(
    ("figure", "held"),
    [
        (compared("a", "CPU-s", [3.0], "b", [2.0], at_most(1.5)), True),
        (compared("a", "CPU-s", [3.2], "b", [2.0], at_most(1.5)), False),
        (compared("a", "clips per CPU-s", [3.2], "b", [2.0], at_least(1.5)), True),
        (compared("a", "s", [6.0], "b", [60.0], at_most(5, "ours")), False),
        (alone("a", "crops per CPU-s", [299.0], at_least(300, "ours")), False),
        (alone("a", "crops per CPU-s", [299.0]), None),
        (missing("a", "no CUDA device", at_least(4)), None),
    ],
)
def test_a_target_limits_the_ratio_or_our_value(figure: Figure, held: bool | None) -> None:
    assert figure.held is held


def test_figures_survive_json() -> None:
    figures = (
        compared("a", "CPU-s", [3.0], "b", [2.0], at_most(1.5), "a note"),
        alone("c", "MB", [1.0, 2.0]),
        missing("d", "no CUDA device"),
    )
    assert from_json(json.loads(json.dumps(to_json(figures)))) == figures
    assert "no CUDA device" in in_words(figures[2])


def test_the_option_json_prints_the_figures_and_stops(capsys: pytest.CaptureFixture[str]) -> None:
    figure = alone("a", "MB", [1.0])
    parser = command_line("clips", None, lambda: [figure])
    parser.add_argument("needed", type=int)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(["--json"])
    assert stopped.value.code == 0
    assert from_json(json.loads(capsys.readouterr().out.splitlines()[-1])) == (figure,)

"""Numbers, seeds and protocols as text."""

from collections.abc import Callable, Mapping, Sequence

from sttreid.analysis.uncertainty import Difference, Interval


def percent(share: float) -> str:
    """A fraction in per cent with one decimal; what rounds to zero has no sign."""
    return f"{round(100 * share, 1) + 0.0:.1f}"


def sided(difference: float) -> str:
    """As :func:`percent`, with up to four decimals if fewer hide on which side of 0 a difference lies."""
    texts = (f"{round(100 * difference, decimals) + 0.0:.{decimals}f}" for decimals in range(1, 5))
    return next((text for text in texts if float(text)), percent(difference))


def bracket(mean: Interval, text: Callable[[float], str] = percent) -> str:
    """A value and its confidence interval, in per cent or as ``text`` writes numbers."""
    low, high = map(sided if isinstance(mean, Difference) else text, (mean.low, mean.high))
    return f"{text(mean.value)} [{low}, {high}]"


def signed(value: float, low: float, high: float) -> str:
    """An effect in points with its sign and, unless it is empty, its confidence interval."""
    text, ends = sided(value), f" [{sided(low)}, {sided(high)}]" if low < high else ""
    return f"{'' if text.startswith('-') else '+'}{text}{ends}"


def seeds_phrase(seeds: Sequence[int]) -> str:
    """ "seed 0" or "seeds 0, 1"."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def protocols_phrase(names: Mapping[str, str]) -> str:
    """ "protocol embedded", or that of each target (target -> name) where they differ."""
    if len(set(names.values())) == 1:
        return f"protocol {next(iter(names.values()))}"
    return f"protocols {', '.join(f'{name} of {target}' for target, name in names.items())}"

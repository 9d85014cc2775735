"""Whether equal numbers in several cameras are one person, or every tracker counted from 1."""

from collections.abc import Collection, Mapping


def warn_of_shared_numbers(numbers: Mapping[str, Collection[int | str]], choice: str) -> str | None:
    """A warning where the numbers of at least two cameras run 1 to n (or 0 to n), as trackers count.

    Numbers that a person gave across cameras have gaps, because nobody passes every camera.

    Args:
        numbers: camera -> the numbers of its tracks.
        choice: what the user can set instead.

    Returns:
        A sentence; None where there is nothing to warn of.
    """
    counted = [camera for camera, values in numbers.items() if _is_counted(values)]
    if len(counted) < 2:
        return None
    shown = ", ".join(counted[:3]) + (", ..." if len(counted) > 3 else "")
    return (
        f"the numbers of {shown} each run without a gap, as those of independent trackers do, but equal"
        f" numbers are taken for one person: if they are not, {choice}"
    )


def _is_counted(values: Collection[int | str]) -> bool:
    """Whether the numbers run from 0 or 1 without a gap."""
    try:
        numbers = {int(value) for value in values}
    except ValueError:
        return False
    return len(numbers) > 1 and min(numbers) in (0, 1) and max(numbers) - min(numbers) == len(numbers) - 1

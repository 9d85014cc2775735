"""Names of means over targets: a mean never mixes protocols.

A setting whose targets have one protocol gives one mean with the setting's name. With several protocols it
gives a mean for each, ``SETTING PROTOCOL``.
"""

from collections.abc import Iterable, Mapping, Sequence


def targets_by_protocol(targets: Iterable[str], protocols: Mapping[str, str]) -> dict[str, list[str]]:
    """Protocol -> its targets, in their order.

    Args:
        targets: data sets that are tested on.
        protocols: target -> name of its protocol.
    """
    found: dict[str, list[str]] = {}
    for target in targets:
        found.setdefault(protocols[target], []).append(target)
    return found


def means_of(setting: str, targets: Iterable[str], protocols: Mapping[str, str]) -> dict[str, list[str]]:
    """Name of each mean of a setting -> its targets; none without a target. Arguments as
    :func:`targets_by_protocol`."""
    found = targets_by_protocol(targets, protocols)
    if len(found) == 1:
        return dict(zip([setting], found.values(), strict=True))
    return {f"{setting} {protocol}": group for protocol, group in found.items()}


def setting_of(name: str) -> str:
    """The setting of a mean."""
    return name.partition(" ")[0]


def ordered(names: Iterable[str], settings: Sequence[str]) -> list[str]:
    """The means of some settings, each once, in the order of the settings."""
    known = [name for name in dict.fromkeys(names) if setting_of(name) in settings]
    return sorted(known, key=lambda name: settings.index(setting_of(name)))


def spelled(name: str, words: Mapping[str, str]) -> str:
    """A mean in words: its setting, as ``words`` has it, and its protocol."""
    setting, _, protocol = name.partition(" ")
    text = words.get(setting, setting)
    return f"{text}, protocol {protocol}" if protocol else text

"""Which cameras see an identity, and which split it belongs to."""

from sttreid.config.domain import FIRST_DISTRACTOR, Domain, Scale
from sttreid.runtime.errors import InputError
from sttreid.simulate.streams import stream


def sightings(name: str, domain: Domain, scale: Scale) -> dict[int, list[int]]:
    """Identities of every camera, both counted from 1, and then its distractors.

    Each identity takes the cameras with the fewest people so far, ties broken at random: every camera gets
    its share, and a further identity changes nothing for those before it. A distractor takes any one camera.

    Raises:
        InputError: an identity shall be seen by more cameras than there are, or a camera would see nobody.
    """
    cameras: dict[int, list[int]] = {camera: [] for camera in range(1, scale.cameras + 1)}
    low, high = domain.crowd.cameras.low, min(domain.crowd.cameras.high, scale.cameras)
    if low > scale.cameras:
        raise InputError(
            f"domain {name}: crowd.cameras.low must be at most the {scale.cameras} cameras, got {low}"
        )
    for identity in range(1, scale.identities + 1):
        rng = stream(scale.seed, "cameras", name, identity)
        count = int(rng.integers(low, high + 1))
        lots = dict(zip(cameras, rng.permutation(scale.cameras), strict=True))
        for camera in sorted(cameras, key=lambda number: (len(cameras[number]), lots[number]))[:count]:
            cameras[camera].append(identity)
    for distractor in distractors(scale):
        rng = stream(scale.seed, "cameras", name, distractor)
        cameras[int(rng.integers(1, scale.cameras + 1))].append(distractor)
    idle = [camera for camera, who in cameras.items() if not who]
    if idle:
        raise InputError(
            f"domain {name}: {scale.identities} identities must reach every one of {scale.cameras} cameras, "
            f"but camera {idle[0]} would see nobody"
        )
    return cameras


def distractors(scale: Scale) -> list[int]:
    """The people who are seen by one camera only."""
    return list(range(FIRST_DISTRACTOR, FIRST_DISTRACTOR + scale.distractors))


def splits(scale: Scale) -> dict[str, list[int]]:
    """Identities of train, validation and test: blocks of even size, so that look-alikes stay together.

    The distractors are a split of their own: they join the gallery of the test and nobody asks for them.
    """
    train = max(2, 2 * round(scale.identities * scale.train / 2))
    validation = max(2, 2 * round(scale.identities * scale.validation / 2))
    validation = min(validation, (scale.identities - 4) // 2 * 2)  # two for training, two for the test
    train = min(train, scale.identities - validation - 2)
    train -= train % 2
    everyone = list(range(1, scale.identities + 1))
    return {
        "train": everyone[:train],
        "validation": everyone[train : train + validation],
        "test": everyone[train + validation :],
        "distractors": distractors(scale),
    }

"""Which cameras see an identity, and which split it belongs to."""

from sttreid.domain import Domain, Scale
from sttreid.simulate.streams import stream


def sightings(name: str, domain: Domain, scale: Scale) -> dict[int, list[int]]:
    """Identities of every camera, both counted from 1.

    Each identity takes the cameras with the fewest people so far, ties broken at random: every camera gets
    its share, and a further identity changes nothing for those before it.
    """
    cameras: dict[int, list[int]] = {camera: [] for camera in range(1, scale.cameras + 1)}
    low, high = domain.crowd.cameras.low, min(domain.crowd.cameras.high, scale.cameras)
    for identity in range(1, scale.identities + 1):
        rng = stream(scale.seed, "cameras", name, identity)
        count = int(rng.integers(min(low, high), high + 1))
        lots = dict(zip(cameras, rng.permutation(scale.cameras), strict=True))
        for camera in sorted(cameras, key=lambda number: (len(cameras[number]), lots[number]))[:count]:
            cameras[camera].append(identity)
    return cameras


def splits(scale: Scale) -> dict[str, list[int]]:
    """Identities of train, validation and test: blocks of even size, so that look-alikes stay together."""
    train = max(2, 2 * round(scale.identities * scale.train / 2))
    validation = max(2, 2 * round(scale.identities * scale.validation / 2))
    train = min(train, scale.identities - validation - 2)
    train -= train % 2
    everyone = list(range(1, scale.identities + 1))
    return {
        "train": everyone[:train],
        "validation": everyone[train : train + validation],
        "test": everyone[train + validation :],
    }

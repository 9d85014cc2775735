"""The plan of a data set: which cameras see an identity and when, and which split it belongs to."""

from dataclasses import dataclass

from sttreid.config.domain import FIRST_DISTRACTOR, Domain, Scale
from sttreid.runtime.errors import InputError
from sttreid.simulate.draws import stream


@dataclass(frozen=True)
class Visit:
    """One identity's walk through the view of one camera."""

    identity: int
    start: int  # frame, from 0
    length: int  # frames
    attempt: int  # 0; higher after walks on which the identity was mostly hidden

    @property
    def end(self) -> int:
        """The first frame after the visit."""
        return self.start + self.length


def sightings(name: str, domain: Domain, scale: Scale) -> dict[int, list[int]]:
    """Camera -> its identities and then its distractors; cameras and identities count from 1.

    Each identity takes the cameras with the fewest identities so far; ties are broken at random. This
    balances cameras, and a further identity does not change the cameras of earlier ones. The identities
    before ``first_identity`` take theirs too, and are left out at the end. A distractor takes one random
    camera.

    Raises:
        InputError: an identity needs more cameras than exist, or a camera sees no identity.
    """
    cameras: dict[int, list[int]] = {camera: [] for camera in range(1, scale.cameras + 1)}
    low, high = domain.crowd.cameras.low, min(domain.crowd.cameras.high, scale.cameras)
    if low > scale.cameras:
        raise InputError(
            f"domain {name}: crowd.cameras.low must be at most the {scale.cameras} cameras, got {low}"
        )
    drawn_as = domain.drawn_as(name)
    for identity in range(1, scale.last_identity + 1):
        rng = stream(scale.seed, "cameras", drawn_as, identity)
        count = int(rng.integers(low, high + 1))
        tie_breaks = dict(zip(cameras, rng.permutation(scale.cameras), strict=True))
        for camera in sorted(cameras, key=lambda number: (len(cameras[number]), tie_breaks[number]))[:count]:
            cameras[camera].append(identity)
    cameras = {
        camera: [number for number in seen if number >= scale.first_identity]
        for camera, seen in cameras.items()
    }
    for distractor in distractors(scale):
        rng = stream(scale.seed, "cameras", drawn_as, distractor)
        cameras[int(rng.integers(1, scale.cameras + 1))].append(distractor)
    idle = [camera for camera, identities in cameras.items() if not identities]
    if idle:
        raise InputError(
            f"domain {name}: {scale.identities} identities are too few for {scale.cameras} cameras: "
            f"camera {idle[0]} sees none"
        )
    return cameras


def schedule(name: str, domain: Domain, scale: Scale, camera: int, identities: list[int]) -> list[Visit]:
    """The visits of a camera by start; ``crowd.present`` identities are in the image on average."""
    drawn_as = domain.drawn_as(name)
    order = stream(scale.seed, "schedule", drawn_as, camera)
    visits, clock = [], 0.0
    for identity in order.permutation(identities).tolist():
        rng = stream(scale.seed, "visit", drawn_as, identity, camera)  # a length depends on no other identity
        length = int(rng.integers(scale.min_frames, scale.max_frames + 1))
        visits.append(Visit(identity, int(clock), length, 0))
        clock += length / domain.crowd.present * rng.uniform(0.6, 1.4)
    return visits


def distractors(scale: Scale) -> list[int]:
    """The identities that one camera alone sees."""
    return list(range(FIRST_DISTRACTOR, FIRST_DISTRACTOR + scale.distractors))


def splits(scale: Scale) -> dict[str, list[int]]:
    """Identities of train, validation and test: blocks of even length, so that look-alikes stay together.

    Distractors form a separate split: they are in the test gallery and never queries.
    """
    train = max(2, 2 * round(scale.identities * scale.train / 2))
    validation = max(2, 2 * round(scale.identities * scale.validation / 2))
    validation = min(validation, (scale.identities - 4) // 2 * 2)  # two for training, two for the test
    train = min(train, scale.identities - validation - 2)
    train -= train % 2
    identities = list(range(scale.first_identity, scale.last_identity + 1))
    return {
        "train": identities[:train],
        "validation": identities[train : train + validation],
        "test": identities[train + validation :],
        "distractors": distractors(scale),
    }

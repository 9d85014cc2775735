"""The card of a published model: what it was trained on, what it reaches, what it is for (JSON)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sttreid.config.conversion import dump, parse
from sttreid.runtime.files import read_json, write_json

INTENDED_USE: Final = (
    "Research on person re-identification, and ranking tracklets of consenting or rendered people for "
    "someone who looks at the pictures and decides. Not for naming people, for surveillance of people who "
    "did not agree, or for any decision about a person without human review (docs/responsible-use.md)."
)
LIMITS: Final = (
    "All training identities are rendered; no result on real videos is claimed unless a score names one.",
    "Rank-1 and mAP compare rankings among people who are in the gallery; a distance alone does not say that "
    "two tracklets show one person.",
    "It compares clothing and build: it fails when people change clothes or wear uniforms.",
    "Skin tones, body shapes and clothes of the simulator are not those of any population; check the error "
    "rates of the groups in your own footage before use.",
)


@dataclass(frozen=True)
class Weights:
    """The file of a published model.

    Attributes:
        file: its name, in the card's folder.
        sha256: of its bytes.
        bytes: its length.
        parameters: number of learned values.
    """

    file: str
    sha256: str
    bytes: int
    parameters: int


@dataclass(frozen=True)
class TrainingSet:
    """A data set whose training identities the model has seen.

    Attributes:
        name: as in params.yaml.
        md5: of its tracklet store, as in dvc.lock.
    """

    name: str
    md5: str


@dataclass(frozen=True)
class Training:
    """How a model was trained.

    Attributes:
        model: the file of the pipeline.
        md5: of that file, as in dvc.lock.
        sets: in the order of training.
        params: training stage -> its parameters.
        commit: 40 hexadecimal digits; of the code.
        lock: MD5 of dvc.lock, which pins code, data and parameters.
    """

    model: str
    md5: str
    sets: tuple[TrainingSet, ...]
    params: dict[str, Any]
    commit: str
    lock: str


@dataclass(frozen=True)
class Score:
    """A metric on the test split of one data set, with its 95 % confidence interval over identities.

    Attributes:
        dataset: name.
        protocol: name.
        metric: name.
        value: a fraction.
        low: end of the interval.
        high: end of the interval.
        queries: number of queries that count.
        identities: number of their identities.
        seen: whether the model was trained on the training split of this data set.
    """

    dataset: str
    protocol: str
    metric: str
    value: float
    low: float
    high: float
    queries: int
    identities: int
    seen: bool


@dataclass(frozen=True)
class Card:
    """All that a user needs to know before using a model.

    Attributes:
        name: of the published model, with its version.
        description: one sentence.
        published: date, ISO 8601.
        weights: the file.
        training: how it was trained.
        scores: on data sets of this repository.
        intended_use: what it is for, and what not.
        limits: known ones.
    """

    name: str
    description: str
    published: str
    weights: Weights
    training: Training
    scores: tuple[Score, ...]
    intended_use: str = INTENDED_USE
    limits: tuple[str, ...] = LIMITS

    @classmethod
    def read(cls, path: Path) -> "Card":
        """A card from its file.

        Raises:
            InputError: the file cannot be read, or is no card.
        """
        return parse(cls, read_json(path), str(path))

    def write(self, path: Path) -> None:
        """Write the card atomically."""
        write_json(path, dump(self))


def beside(model: Path) -> Card | None:
    """The card in the folder of a model's file, if there is one.

    Raises:
        InputError: the file with the card's name is no card.
    """
    path = model.with_suffix(".json")
    return Card.read(path) if path.is_file() else None

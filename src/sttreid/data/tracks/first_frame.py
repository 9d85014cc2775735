"""From where tracks count their frames: from 0, from 1, or as the images are named.

The files of one writer are judged together. A frame 0 shows that it counts from 0; a frame with the number of
the video's last shows that it counts from 1. Where neither is there, the flavour's rule or 1 is assumed, and
this is printed; images that are numbered from 0 allow both, so ``tracks.first_frame`` must then be given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sttreid.runtime.errors import InputError

HALF: Final = 0.52  # of the frames; of a short film, one frame more than every second one


@dataclass(frozen=True)
class Span:
    """The frames of one file.

    Attributes:
        path: of the file.
        low: the smallest frame in it.
        high: the largest frame in it; below ``low`` in a file without lines.
        frames: number of frames of the video; of images, the last number that may occur in a name.
        first_image: the smallest number in the images' names; None: a video.
    """

    path: Path
    low: int
    high: int
    frames: int
    first_image: int | None = None

    def numbering(self, first_frame: int, by_name: bool) -> tuple[int, int, int]:
        """First frame, number of the first frame's image, and number of frames."""
        if self.first_image is None:
            return first_frame, 1, self.frames
        if by_name:  # frames before the first image are missing images
            start = min(1, self.first_image)
            return start, start, self.frames - start + 1
        return first_frame, self.first_image, self.frames - self.first_image + 1

    def fits(self, first_frame: int, by_name: bool = False) -> bool:
        """Whether all frames exist if the file counts so."""
        first, _, frames = self.numbering(first_frame, by_name)
        return self.high < self.low or (first <= self.low and self.high <= first + frames - 1)


@dataclass(frozen=True)
class Numbering:
    """How one file counts.

    Attributes:
        first_frame: the number that it gives to the first frame.
        start: the number in the name of the first frame's image; 1 for videos.
        frames: number of frames.
        reason: how this is known.
        assumed: whether nothing shows it.
    """

    first_frame: int
    start: int
    frames: int
    reason: str
    assumed: bool = False


def find_numbering(spans: Sequence[Span], declared: int | None, origin: int | None) -> list[Numbering]:
    """How each of the files of one writer counts.

    Args:
        spans: the files, all of videos or all of images.
        declared: ``tracks.first_frame``.
        origin: where the flavour counts from, if its format says so.

    Raises:
        InputError: images are numbered from 0, and the tracks may count from 0 or from 1.
    """
    if declared is not None:
        return [
            Numbering(*span.numbering(declared, by_name=False), "as tracks.first_frame says")
            for span in spans
        ]
    feasible = [first for first in (0, 1) if all(span.fits(first) for span in spans)]
    of_images = all(span.first_image is not None for span in spans)
    if of_images and all(span.fits(1, by_name=True) for span in spans):
        return _by_name(spans, feasible)
    if feasible == [0]:
        zero = next((span for span in spans if span.low == 0), spans[0])
        reason = f"{zero.path.name} has a frame {zero.low} and none beyond {zero.high}"
        return [Numbering(*span.numbering(0, by_name=False), reason) for span in spans]
    if feasible == [1]:
        last = next((span for span in spans if span.high == span.numbering(1, by_name=False)[2]), spans[0])
        reason = f"{last.path.name} has a frame {last.high}, the last of the video"
        return [Numbering(*span.numbering(1, by_name=False), reason) for span in spans]
    if not feasible:
        return _misfits(spans, origin, of_images)
    if origin is not None:
        return [Numbering(*span.numbering(origin, by_name=False), "as its format says") for span in spans]
    reason = "no frame 0 and no last frame shows it; if it is 0, set tracks.first_frame"
    return [Numbering(*span.numbering(1, by_name=False), reason, assumed=True) for span in spans]


def ends_early(spans: Sequence[Span], numberings: Sequence[Numbering]) -> float | None:
    """The share of the frames after which no file of a writer has a box, if that is at most ``HALF``.

    Trackers that look at every second frame (``vid_stride``) may count those only, as ultralytics does.
    """
    last = [
        (span.high - numbering.first_frame + 1) / numbering.frames
        for span, numbering in zip(spans, numberings, strict=True)
        if span.low <= span.high
    ]
    return max(last) if last and max(last) <= HALF else None


def _misfits(spans: Sequence[Span], origin: int | None, of_images: bool) -> list[Numbering]:
    """Files with a frame that exists in no numbering: its line is named, or left out, when it is read.

    What the other files and the smallest frames show still counts.
    """
    zero = any(span.low == 0 for span in spans)
    if of_images and all(span.low >= span.numbering(1, by_name=True)[0] for span in spans):
        return _by_name(spans, [] if zero else [1])
    fitting = [span for span in spans if span.fits(0) or span.fits(1)]
    only_one = not all(span.fits(0) for span in fitting)
    first = 0 if zero else 1 if only_one or origin is None else origin
    assumed = not zero and not only_one and origin is None
    reason = "not all frames exist, but" + (
        " no frame 0 shows it; if it is 0, set tracks.first_frame" if assumed else " this fits the others"
    )
    return [Numbering(*span.numbering(first, by_name=False), reason, assumed) for span in spans]


def _by_name(spans: Sequence[Span], feasible: Sequence[int]) -> list[Numbering]:
    """Images whose frames all fit their names; InputError if names from 0 and their order both fit."""
    unclear = next((span for span in spans if span.first_image == 0 and span.low <= span.high), None)
    if unclear is not None and 1 in feasible:
        raise InputError(
            f"{unclear.path}: the images are numbered from 0, and frames {unclear.low} to {unclear.high} may"
            " count from 0 (their names) or from 1 (their order): tracks.first_frame must be 0 or 1, got none"
        )
    return [Numbering(*span.numbering(1, by_name=True), "as the images are named") for span in spans]

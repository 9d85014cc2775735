"""What a training run receives: the processes that share its batches, and an observer of its steps.

:mod:`sttreid.runtime` implements both; neither changes what a process computes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
Row = dict[str, float]
State = dict[str, Any]  # tensors and plain values: all that a later step depends on


class Group(Protocol):
    """The process group of a run; a single process is rank 0 of 1."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""

    @property
    def world_size(self) -> int:
        """Number of processes."""

    def gather(self, x: Tensor) -> Tensor:
        """[b, ...] of each process -> [B, ...] of all, with a gradient for this process's part."""

    def mean(self, x: Tensor) -> Tensor:
        """The mean over the processes, with equal bits on each."""

    def wrap(
        self, module: nn.Module, sync_batch_norm: bool, device: torch.device, idle_parameters: bool
    ) -> nn.Module:
        """A module whose gradients are averaged over the processes."""


class Observer(Protocol):
    """Watches a run: progress, checkpoints, requests to stop. It changes no result."""

    def resume(self, settings: Mapping[str, object], content: Iterable[bytes]) -> State | None:
        """The state of the run's last checkpoint, or None.

        Args:
            settings: plain JSON values that the run's result depends on.
            content: data that the result depends on: initial weights and training frames.
        """

    def watch(self, batches: Iterator[T], done: int, steps: int, clips: int) -> Iterator[T]:
        """The same batches, timed.

        Args:
            batches: of the remaining steps.
            done: steps before the resumed one.
            steps: of the whole run.
            clips: per step, over all processes.
        """

    def stop_requested(self) -> bool:
        """Whether this process must stop."""

    def stepped(self, row: Row, state: Callable[[], State], evaluated: bool, last: bool) -> None:
        """A step is complete.

        Args:
            row: its row of the history.
            state: returns the content of a checkpoint.
            evaluated: whether validation has run after this step.
            last: whether the run ends with this step, finished or interrupted.
        """

    def diverged(self, step: int, state: State) -> str:
        """A loss term or the gradient of a step (from 1) is not finite; returns text for the error."""

    def notify(self, message: str) -> None:
        """A line for the user."""


class Silent:
    """An observer that does nothing: no progress, no checkpoints, no way to stop."""

    def resume(self, settings: Mapping[str, object], content: Iterable[bytes]) -> State | None:  # noqa: ARG002
        """Always start at the first step."""
        return None

    def watch(self, batches: Iterator[T], done: int, steps: int, clips: int) -> Iterator[T]:  # noqa: ARG002
        """The same iterator."""
        return batches

    def stop_requested(self) -> bool:
        """Never."""
        return False

    def stepped(self, row: Row, state: Callable[[], State], evaluated: bool, last: bool) -> None:
        """Ignore it."""

    def diverged(self, step: int, state: State) -> str:  # noqa: ARG002
        """Nothing to add."""
        return ""

    def notify(self, message: str) -> None:
        """Ignore it."""

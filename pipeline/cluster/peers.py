"""Peers of a worker: processes on the other devices of its trial, which do the same work at the same time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from zenfront.pipeline.errors import UserError

START = 120.0
"""Seconds to wait for the processes of the peers."""
NOTICE = 5.0
"""Seconds to wait for the reason of a peer's failure, after the worker has noticed it."""
Made = TypeVar("Made")


class PeerFailed(Exception):
    """A peer failed, and the work with it. The text has the reason."""


@dataclass(frozen=True)
class InStore(Generic[Made]):
    """A value in Ray's object store, which all processes of a machine read without copies of its arrays."""

    _reference: Any

    @staticmethod
    def put(value: Made) -> "InStore[Made]":
        """Store a value; it stays there as long as this object is referred to."""
        return InStore(ray.put(value))

    @property
    def value(self) -> Made:
        """The value, on this machine."""
        return ray.get(self._reference)  # type: ignore[no-any-return]


class Peers:
    """Actors in all bundles but the first of the placement group of this process's Tune trial.

    They end with this process, which owns them: Ray kills the actors of an owner that has died.

    Args:
        kind: Class of the actors, called with the rank, from 1, and the arguments.
        seconds: Time limit in seconds of a piece of work, from its end in this process on.
        arguments: Must be picklable.

    Raises:
        ray.exceptions.RayError: A process does not start.
    """

    def __init__(self, kind: type[Any], seconds: float, *arguments: object) -> None:
        group = ray.util.get_current_placement_group()
        assert group is not None, "a worker with peers has a placement group"
        self._seconds = seconds
        self._actors = {
            rank: _placed(kind, group, rank, bundle).remote(rank, *arguments)
            for rank, bundle in enumerate(group.bundle_specs)
            if rank
        }
        ray.get([actor.__ray_ready__.remote() for actor in self._actors.values()], timeout=START)

    def together(self, own: Callable[[], Made], method: str, *arguments: object) -> Made:
        """Call a method of all peers while this process does its own part; return the result of that.

        Raises:
            PeerFailed: A peer died or raised.
            UserError: A peer raised it.
        """
        asked = {rank: getattr(actor, method).remote(*arguments) for rank, actor in self._actors.items()}
        try:
            result = own()
            ray.get(list(asked.values()), timeout=self._seconds)
        except (RuntimeError, ray.exceptions.RayError) as error:  # of torch.distributed, or of a peer
            if cause := self._cause(asked):
                raise cause from error
            raise
        return result

    def _cause(self, asked: dict[int, Any]) -> Exception | None:
        """Return the first reason of a failed peer that is not the failure of another process; None if none failed."""
        ray.wait(list(asked.values()), num_returns=1, timeout=NOTICE)
        done, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=0.5)
        causes = [cause for rank, call in asked.items() if call in done and (cause := self._failure(rank, call))]
        return min(causes, key=lambda cause: "RuntimeError" in str(cause), default=None)

    def _failure(self, rank: int, call: Any) -> Exception | None:
        process = f"device {rank + 1} of {len(self._actors) + 1}"
        try:
            ray.get(call)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, UserError):
                return error.cause
            return PeerFailed(f"{process}: {type(error.cause).__name__}: {' '.join(str(error.cause).split())}")
        except ray.exceptions.RayError:
            return PeerFailed(f"{process}: its process died (out of memory, or a crash in native code)")
        return None


def _placed(kind: type[Any], group: Any, index: int, bundle: dict[str, float]) -> Any:
    """Return the class of an actor in a bundle of a placement group, with all resources of the bundle."""
    others = {name: amount for name, amount in bundle.items() if name not in ("CPU", "GPU", "memory")}
    return ray.remote(kind).options(
        num_cpus=bundle.get("CPU", 0),
        num_gpus=bundle.get("GPU", 0),
        memory=bundle.get("memory"),
        resources=others,
        scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index),
    )

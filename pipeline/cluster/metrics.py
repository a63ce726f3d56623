"""Export the state of a search as metrics of the Ray cluster, for its dashboard, Prometheus and Grafana."""

from ray.util.metrics import Counter, Gauge

from zenfront.pipeline.progress import SearchProgress
from zenfront.pipeline.wording import clean

REASON = 60
"""Characters of a failure's reason that become its label. A full reason contains values, and each label is a series."""


class SearchMetrics:
    """Export the state of a search. Ray prefixes the names with ``ray_``.

    Args:
        run: Name of the experiment, the label ``run`` of every metric.
    """

    def __init__(self, run: str) -> None:
        tags = {"run": run}

        def gauge(name: str, description: str) -> Gauge:
            made = Gauge(f"zenfront_{name}", description, tag_keys=("run",))
            made.set_default_tags(tags)
            return made

        self._scored = Counter("zenfront_candidates_scored", "Architectures scored.", tag_keys=("run",))
        self._scored.set_default_tags(tags)
        self._failed = Counter("zenfront_failures", "Architectures that failed.", tag_keys=("run", "reason"))
        self._failed.set_default_tags(tags)
        self._rate = gauge("candidates_per_second", "Architectures scored per second since the driver started.")
        self._generation = gauge("generations", "Generations told to the algorithm.")
        self._front = gauge("front_size", "Feasible architectures that no other dominates.")
        self._hypervolume = gauge(
            "hypervolume", "Hypervolume of the front, in units of the bounding box of the first front."
        )
        self._before: dict[str, int] = {}
        self._counted = 0

    def show(self, progress: SearchProgress) -> None:
        """Export a state of the search; the counters grow by the difference from the last one."""
        if new := progress.evaluations - self._counted:
            self._scored.inc(new)
            self._counted = progress.evaluations
        failures: dict[str, int] = {}
        for text, count in progress.failures.items():
            failures[_kind(text)] = failures.get(_kind(text), 0) + count
        for kind, count in failures.items():
            if new := count - self._before.get(kind, 0):
                self._failed.inc(new, tags={"reason": kind})
        self._before = failures
        self._rate.set(progress.rate)
        self._generation.set(progress.generation)
        self._front.set(progress.front or 0)
        if progress.hypervolume is not None:
            self._hypervolume.set(progress.hypervolume)


def _kind(reason: str) -> str:
    """Return the kind of a failure: ``ntk: LinAlgError`` for ``ntk: LinAlgError: the matrix ...``."""
    return clean(": ".join(reason.split(": ")[:2]))[:REASON]

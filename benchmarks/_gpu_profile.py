"""Count on the CPU what a candidate asks of a GPU: operators that launch kernels, waits and copies to the device."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from _gpu_sample import (
    BATCH,
    PUBLISHED,
    SCORES,
    SPACE,
    TASK,
    build_as_published,
    draw_sample,
    on_card,
    score_as_published,
)

from zenfront.pipeline import proxies
from zenfront.pipeline.proxies import Batch, Proxy, _patches, _state
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Architecture, initialise
from zenfront.testing._operators import Operators, counted_operators

Row = dict[str, Any]


class _Copied(Batch):
    """Mini-batch that counts the bytes of its copies to a device."""

    def to(self, device: torch.device | str) -> Batch:
        """Count a copy; a proxy gets the batch itself."""
        sizes.append(self.images.nbytes + self.labels.nbytes)
        return Batch(self.images, self.labels)


sizes: list[int] = []


def _passes(proxy: Proxy, architecture: Architecture, batch: Batch) -> Operators:
    assert proxy.weights != "none"
    network = initialise(SPACE.network(architecture, TASK), torch_generator(0, architecture.id), proxy.weights)
    with _as_on_a_gpu(), counted_operators() as found:
        proxy.score(network, batch, torch_generator(0, proxy.name))
    return found


@contextmanager
def _as_on_a_gpu() -> Iterator[None]:
    """Take the ways that a GPU takes: no number is read for a seed, and patches are unfolded."""
    with (
        patch.object(_state, "_draw_seed", return_value=0),
        patch.object(_patches, "_launches_cost", return_value=True),
    ):
        yield


def _weights(architecture: Architecture) -> Operators:
    """Count what is copied when the weights go to a device: the meta device stands for it."""
    network = SPACE.network(architecture, TASK)
    with counted_operators() as found:
        initialise(network, torch_generator(0, architecture.id), "default", "meta")
    return found


def _batches(name: str, sample: Sequence[Architecture]) -> list[int]:
    """Return the bytes of the mini-batches that are copied for a candidate, from the second one on."""
    noise = noise_batch(TASK, BATCH, 0)
    scoring = Scoring(SPACE, TASK, [name], _Copied(noise.images, noise.labels), 0)
    scoring.score(sample[0])
    sizes.clear()
    scoring.score(sample[1])
    return list(sizes)


def _published(name: str, architecture: Architecture, batch: Batch) -> Operators:
    network = build_as_published(name, architecture, "cpu")
    with counted_operators() as found:
        score_as_published(name, network, batch)
    return found


def _medians(found: Sequence[Operators]) -> Row:
    return {
        "launches": median(each.launches.total() for each in found),
        "waits": median(each.waits.total() for each in found),
        "waits_by_operator": dict(found[0].waits),
    }


def _row(name: str, sample: Sequence[Architecture]) -> Row:
    proxy, batch = proxies.load(name), noise_batch(TASK, BATCH, 0)
    _passes(proxy, sample[0], batch)  # what is computed once for all networks
    weights, batches = [_weights(each) for each in sample], _batches(name, sample)
    return {
        **_medians([_passes(proxy, each, batch) for each in sample]),
        "copies": median(each.copies for each in weights) + 2 * len(batches),
        "bytes": median(each.bytes for each in weights) + sum(batches),
    }


def profile(count: int) -> dict[str, Row]:
    """Return the counts of every proxy for a random sample: medians per candidate."""
    sample = draw_sample(count)
    return {name: _row(name, sample) for name in on_card() if name != "latency"}


def profile_published(count: int, names: Sequence[str]) -> dict[str, Row]:
    """Return the counts of the published way."""
    sample, batch = draw_sample(count), noise_batch(TASK, BATCH, 0)
    return {name: _medians([_published(name, each, batch) for each in sample]) for name in names}


def keep(path: Path, label: str, rows: dict[str, Row]) -> dict[str, dict[str, Row]]:
    """Write the rows into a JSON file beside those of other labels; return all."""
    known = json.loads(path.read_text()) if path.exists() else {}
    known[label] = rows
    path.write_text(json.dumps(known, indent=1) + "\n")
    return known


def table(known: dict[str, dict[str, Row]]) -> Iterator[str]:
    """Yield a Markdown table of launches and waits, labels side by side, and lines about the copies."""
    labels = [f"{what}, {label}" for what in ("launches", "waits") for label in known]
    yield f"| proxy | {' | '.join(labels)} |"
    yield "|---" * (len(labels) + 1) + "|"
    for name in sorted({name for rows in known.values() for name in rows}):
        cells = [_cell(rows.get(name), what) for what in ("launches", "waits") for rows in known.values()]
        yield f"| {name} | {' | '.join(cells)} |"
    for label, rows in known.items():
        copied = sorted({(row["copies"], row["bytes"]) for row in rows.values() if "copies" in row})
        if copied:
            yield f"{label}: {' or '.join(f'{count:.0f} copies of {size / 1000:,.0f} kB' for count, size in copied)}"


def _cell(row: Row | None, what: str) -> str:
    return f"{row[what]:,.0f}" if row else ""


def main(label: str, count: int, path: Path) -> None:
    """Count for the proxies of this version, or with the label ``published`` for the published way; print a table."""
    rows = profile_published(count, [*PUBLISHED, *SCORES]) if label == "published" else profile(count)
    print("\n".join(table(keep(path, label, rows))))

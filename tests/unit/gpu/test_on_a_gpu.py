"""Behaviour that only a GPU shows. Bodies that do not need one run on the CPU as well, to see that they are right."""

from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.queues import Queue

import pytest
import torch
from scipy.stats import spearmanr

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.cluster.memory import cap_memory, peak
from zenfront.pipeline.device import deterministic_algorithms
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.pipeline.stages.search.candidate import score_candidate
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import train
from zenfront.spaces import Task, initialise
from zenfront.testing._networks import BODIES, batch_of, generator, meta

GPU = pytest.param(
    "cuda",
    marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")],
)
DEVICES = ["cpu", GPU]
SPACE, TASK = spaces.load("anynet3"), Task(3, 16, 16, 10)
SAMPLE = [SPACE.sample(numpy_generator(3, str(place))) for place in range(4)]
SMALL = SPACE.architecture(SPACE.parse("d1=1,w1=16,b1=2,g1=4,d2=1,w2=16,b2=1,g2=8,d3=2,w3=24,b3=2,g3=1"))
NAMES = [name for name in proxies.names() if not (proxies.load(name).is_running_cost or proxies.load(name).of_supernet)]
WITH_DRAWS = ("az_expressivity", "az_progressivity", "az_trainability", "linear_regions", "meco", "zen")
"""Scores that draw images or crops, which differ between devices."""


def scoring(*names: str, device: str = "cpu", **settings: object) -> Scoring:
    return replace(Scoring(SPACE, TASK, names, noise_batch(TASK, 16, 0), 0, device=device), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_a_score_has_the_same_bits_twice(name: str, device: str) -> None:
    first, second = (scoring(name, device=device).score(SMALL) for _ in range(2))
    assert first.failure is None
    assert first.values == second.values


@pytest.mark.parametrize("device", DEVICES)
def test_dropout_has_the_same_bits_twice(device: str) -> None:
    network = initialise(meta("dropout"), generator(), "default", device)
    batch = batch_of(8).to(device)
    first, second = (
        proxies.load("snip").score(network, batch, torch_generator(2, "dropout", device=device)) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITH_DRAWS])
def test_a_score_in_float32_is_close_to_that_of_the_cpu(name: str, device: str) -> None:
    here, there = (scoring(name, device=each).score(SMALL).values[name] for each in ("cpu", device))
    assert there == pytest.approx(here, rel=0.2)


@pytest.mark.parametrize("device", [GPU])
def test_zen_ranks_networks_as_on_the_cpu(device: str) -> None:
    here, there = ([scoring("zen", device=each).score(a).values["zen"] for a in SAMPLE] for each in ("cpu", device))
    assert spearmanr(here, there).statistic == pytest.approx(1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", BODIES)
def test_weights_of_the_cpu_arrive_unchanged(name: str, device: str) -> None:
    here = initialise(meta(name), generator(), "default").state_dict()
    there = initialise(meta(name), generator(), "default", device).state_dict()
    assert all(each.device.type == device for each in there.values())
    assert all(torch.equal(here[key], there[key].cpu()) for key in here)


@pytest.mark.parametrize("device", DEVICES)
def test_weights_drawn_on_the_device_are_the_same_twice_and_whatever_was_scored_before(device: str) -> None:
    names = ("zen", "snip")
    together = scoring(*names, device=device, init_device="device", repeats=2).score(SMALL).values
    for name in names:
        alone = scoring(name, device=device, init_device="device", repeats=2).score(SMALL)
        assert alone.values[name] == together[name]


@pytest.mark.parametrize("device", [GPU])
def test_weights_drawn_on_the_device_are_others_of_the_same_scale(device: str) -> None:
    there = initialise(meta("residual"), torch_generator(1, "gpu", device=device), "kaiming", device)
    here = initialise(meta("residual"), torch_generator(1, "gpu"), "kaiming")
    for (name, drawn), weight in zip(there.named_parameters(), here.parameters(), strict=True):
        if weight.dim() > 1:
            assert not torch.equal(drawn.cpu(), weight), name
            assert float(drawn.detach().std()) == pytest.approx(float(weight.detach().std()), rel=0.3)
        else:
            assert torch.equal(drawn.cpu(), weight)


@pytest.mark.parametrize("device", [GPU])
def test_tf32_rounds_only_where_it_is_allowed(device: str) -> None:
    x, w = (torch.randn(8, 64, 3, 3, generator=generator()).to(device) for _ in range(2))
    exact = torch.conv2d(x.double(), w.double()).float()
    errors = []
    for tf32 in (False, True):
        with deterministic_algorithms(device, tf32=tf32):
            errors.append(float((torch.conv2d(x, w) - exact).abs().max() / exact.abs().max()))
    assert errors[0] < 1e-5
    if torch.cuda.get_device_capability() >= (8, 0):
        assert errors[1] > 1e-5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_has_the_same_bits_twice_and_learns(precision: str, device: str) -> None:
    labels = torch.arange(64) % 2
    pixels = torch.randint(120, (64, 3, 16, 16), generator=generator(), dtype=torch.uint8)
    pixels[labels == 1] += 100
    images = ImageSet(pixels, labels)
    data = Images(images, images, torch.full((3,), 110.0), torch.full((3,), 60.0), lambda: images, 10)
    recipe = Recipe(batch_size=16, warmup_epochs=1, precision=precision, flip=False, crop_padding=0)  # type: ignore[arg-type]

    def losses() -> list[float]:
        network = SPACE.network(SMALL, TASK)
        rows = train(network, data, recipe, epochs=3, seed=0, device=torch.device(device))
        return [row.metrics["train_loss"] for row in rows]

    first = losses()
    assert losses() == first
    assert first[-1] < first[0] < 5


@pytest.mark.parametrize("device", [GPU])
def test_a_candidate_that_finds_too_little_memory_is_tried_again_alone(device: str) -> None:
    """With 2 MiB the passes do not fit: it is put back, or fails if it was alone; with all, it has a score."""
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    try:
        torch.cuda.set_per_process_memory_fraction(min(2**21 / total, 1.0))
        crowded, alone = (_candidate(device, alone=alone) for alone in (False, True))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert crowded is None
    assert alone
    assert "memory" in str(alone.failure)
    with_all = _candidate(device, alone=True)
    assert with_all
    assert with_all.failure is None
    assert with_all.memory


def _candidate(device: str, *, alone: bool) -> Scores | None:
    return score_candidate(scoring("zen", device=device), SMALL, nullcontext(), alone=alone)


def _score_with_a_share(share: float, device: str, results: "Queue[tuple[dict[str, float], bool, int | None]]") -> None:
    """Score with a share of the GPU's memory, and try to take more than the share."""
    torch.set_num_threads(1)
    cap_memory(share)
    values = dict(scoring("zen", "snip", device=device).score(SMALL).values)
    refused = False
    if device == "cuda":
        _, total = torch.cuda.mem_get_info()
        try:
            torch.empty(int(1.2 * share * total), dtype=torch.uint8, device=device)
        except torch.OutOfMemoryError:
            refused = True
    results.put((values, refused, peak(device)))


@pytest.mark.slow
@pytest.mark.parametrize("device", [GPU])  # the body runs with "cpu" as well, in 7 s
def test_two_processes_share_a_device(device: str) -> None:
    """Each stays within its share, and has the values that one process has."""
    context = get_context("spawn")
    results: Queue[tuple[dict[str, float], bool, int | None]] = context.Queue()
    both = [context.Process(target=_score_with_a_share, args=(0.25, device, results)) for _ in range(2)]
    for process in both:
        process.start()
    found = [results.get(timeout=300) for _ in both]
    for process in both:
        process.join(60)
    expected = scoring("zen", "snip", device=device).score(SMALL).values
    assert [values for values, _, _ in found] == [expected, expected]
    assert all(refused == (device == "cuda") for _, refused, _ in found)
    assert [process.exitcode for process in both] == [0, 0]

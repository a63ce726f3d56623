"""What every search space must hold. No branch on a name: a new space is covered by being there."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.samplers import NSGAIISampler, RandomSampler
from torch import nn

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.spaces import Architecture, Network, Space, Task, initialise, without_auxiliaries

CIFAR = Task(3, 32, 32, 10)
TASKS = [Task(channels, side, side, classes) for channels in (1, 3) for side in (64, 28, 8) for classes in (1000, 2)]
SEED = 4


@pytest.fixture(params=spaces.names())
def space(request: pytest.FixtureRequest) -> Space:
    return spaces.load(request.param)


def samples(space: Space, count: int, purpose: str) -> list[Architecture]:
    generator = numpy_generator(SEED, space.name, purpose)
    return [space.sample(generator) for _ in range(count)]


def valid_samples(space: Space, count: int, purpose: str, task: Task = CIFAR) -> list[Architecture]:
    generator = numpy_generator(SEED, space.name, purpose)
    valid: list[Architecture] = []
    for _ in range(1000):
        architecture = space.sample(generator)
        if space.violation(architecture, task) is None:
            valid.append(architecture)
        if len(valid) == count:
            return valid
    raise AssertionError(f"only {len(valid)} of 1,000 samples are valid")


def parameters(space: Space, architecture: Architecture) -> int:
    return sum(parameter.numel() for parameter in space.network(architecture, CIFAR).parameters())


def assert_legal(space: Space, architecture: Architecture, task: Task = CIFAR) -> None:
    """In canonical form, and it either builds or says why not."""
    assert architecture.space == space.name
    assert tuple(name for name, _ in architecture.genes) == tuple(space.distributions)
    assert space.canonical(architecture) == architecture
    assert space.decode(space.encode(architecture)) == architecture
    reason = space.violation(architecture, task)
    if reason is not None:
        assert reason.strip()
        with pytest.raises(UserError, match=re.escape(reason)):
            space.network(architecture, task)
        return
    network = space.network(architecture, task)
    assert {tensor.device.type for tensor in [*network.parameters(), *network.buffers()]} == {"meta"}


def assert_shapes(space: Space, architecture: Architecture, task: Task) -> None:
    """Features keep the batch, logits are (N, K)."""
    network = space.network(architecture, task).eval()
    images = torch.empty(2, task.channels, task.height, task.width, device="meta")
    with torch.no_grad():
        features = network.features(images)
        assert features.ndim == 4
        assert network.head(features).shape == (2, task.classes)


def symmetric(network: Network) -> Network:
    """Weights that depend on a kernel's shape alone, equal over channels; BN with batch statistics; double precision.

    Two networks that differ in the order of equal layers or of concatenated channels then give equal outputs.
    """
    network.to_empty(device="cpu").double()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            kernel = module.weight.shape[2:]
            values = torch.randn(kernel, generator=torch_generator(SEED, str(tuple(kernel))), dtype=torch.float64)
            module.weight.data = values.expand(module.weight.shape) / module.weight[0].numel()
            if module.bias is not None:
                module.bias.data.fill_(0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return network


def test_its_name_is_its_module(space: Space) -> None:
    assert space.name in spaces.names()
    assert spaces.load(space.name) is space


def test_source_is_one_short_line(space: Space) -> None:
    assert space.source
    assert "\n" not in space.source
    assert len(space.source) <= 120


def test_size_is_the_product_of_the_levels_unless_counted(space: Space) -> None:
    product = 1
    for levels in space.levels.values():
        product *= len(levels.values)
    assert space.size == product or (space.counted is not None and space.size == space.counted < product)


def test_a_thousand_samples_are_legal(space: Space) -> None:
    drawn = samples(space, 1000, "legal")
    reasons = [space.violation(architecture, CIFAR) for architecture in drawn]
    assert all(reason is None or reason.strip() for reason in reasons)
    assert sum(reason is None for reason in reasons) >= 100
    for architecture in drawn[:8]:
        assert_legal(space, architecture)


@pytest.mark.slow
def test_two_hundred_samples_build(space: Space) -> None:
    for architecture in samples(space, 200, "legal"):
        assert_legal(space, architecture)


def test_json_round_trip(space: Space) -> None:
    for architecture in samples(space, 1000, "json"):
        again = Architecture.from_json(architecture.to_json())
        assert again == architecture
        assert again.to_json() == architecture.to_json()
        assert space.architecture(json.loads(architecture.to_json())["genes"]).id == architecture.id


def test_notation_round_trip(space: Space) -> None:
    for architecture in samples(space, 200, "notation"):
        text = space.notation(architecture)
        assert space.architecture(space.parse(text)) == architecture


def test_notation_tells_architectures_apart(space: Space) -> None:
    drawn = set(samples(space, 200, "notation"))
    assert len({space.notation(architecture) for architecture in drawn}) == len(drawn)


def test_nonsense_notation_is_a_user_error(space: Space) -> None:
    with pytest.raises(UserError):
        space.architecture(space.parse("nonsense"))


def test_unknown_missing_and_foreign_genes_are_user_errors(space: Space) -> None:
    genes: dict[str, object] = dict(samples(space, 1, "errors")[0].genes)
    first = next(iter(genes))
    with pytest.raises(UserError, match="no gene 'nonsense'"):
        space.architecture({**genes, "nonsense": 1})
    with pytest.raises(UserError, match=f"'{first}' is missing"):
        space.architecture({name: value for name, value in genes.items() if name != first})
    with pytest.raises(UserError, match=f"'{first}'"):
        space.architecture({**genes, first: -12345})


def test_canonical_is_idempotent_and_keeps_validity(space: Space) -> None:
    generator = numpy_generator(SEED, space.name, "idempotent")
    for _ in range(500):
        literal = space.literal(space.random_levels(generator))
        once = space.canonical(literal)
        assert space.canonical(once) == once
        assert (space.violation(literal, CIFAR) is None) == (space.violation(once, CIFAR) is None)


def test_canonical_keeps_the_function(space: Space) -> None:
    generator = numpy_generator(SEED, space.name, "function")
    drawn = [space.literal(space.random_levels(generator)) for _ in range(100)]
    changed = [one for one in drawn if one != space.canonical(one) and space.violation(one, CIFAR) is None]
    images = torch.randn(2, 3, 32, 32, generator=torch_generator(SEED, "images"), dtype=torch.float64)
    for literal in sorted(changed[:10], key=lambda one: parameters(space, one))[:2]:
        with torch.device("meta"):
            networks = space.build(literal, CIFAR), space.build(space.canonical(literal), CIFAR)
        with torch.no_grad():
            outputs = [symmetric(network)(images) for network in networks]
        torch.testing.assert_close(outputs[0], outputs[1])


def test_forward_and_backward_at_batch_two(space: Space) -> None:
    images = torch.randn(2, 3, 32, 32, generator=torch_generator(SEED, "images"))
    drawn = sorted(valid_samples(space, 8, "backward"), key=lambda a: parameters(space, a))
    for architecture in drawn[:2]:
        network = initialise(space.network(architecture, CIFAR), torch_generator(SEED, architecture.id))
        logits = network(images)
        assert logits.shape == (2, 10)
        assert torch.isfinite(logits).all()
        logits.square().sum().backward()
        without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
        assert without == []
        assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_a_network_has_two_parts_and_no_activation_in_place(space: Space) -> None:
    (architecture,) = valid_samples(space, 1, "parts")
    network = space.network(architecture, CIFAR)
    assert [name for name, _ in network.named_children()] == ["features", "head"]
    assert not any(getattr(module, "inplace", False) for module in network.modules())


def test_without_auxiliaries_the_shapes_stay(space: Space) -> None:
    (architecture,) = valid_samples(space, 1, "auxiliaries")
    network = space.network(architecture, CIFAR)
    with without_auxiliaries(network):
        assert network(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


def test_any_task_builds_or_states_a_violation(space: Space) -> None:
    architecture = min(valid_samples(space, 8, "tasks"), key=lambda a: parameters(space, a))
    built = 0
    for task in TASKS:
        assert_legal(space, architecture, task)
        if space.violation(architecture, task) is None and built < 3:
            assert_shapes(space, architecture, task)
            built += 1
    assert built


def test_neighbours_are_legal_and_others(space: Space) -> None:
    generator = numpy_generator(SEED, space.name, "neighbours")
    for architecture in valid_samples(space, 1, "neighbours"):
        around = list(space.neighbours(architecture))
        assert around
        assert architecture not in around
        assert len(set(around)) == len(around)
        for index in generator.permutation(len(around))[:2]:
            assert_legal(space, around[int(index)])


def test_crossover_is_legal(space: Space) -> None:
    generator = numpy_generator(SEED, space.name, "crossover")
    parents = samples(space, 8, "crossover")
    for mother, father in zip(parents[::2], parents[1::2], strict=True):
        genes = np.array([space.encode(mother), space.encode(father)])
        child = genes[generator.integers(2, size=genes.shape[1]), np.arange(genes.shape[1])]
        assert_legal(space, space.decode(child))


@pytest.mark.parametrize("sampler", [RandomSampler(seed=SEED), NSGAIISampler(seed=SEED, population_size=8)])
def test_optuna_draws_legal_architectures(space: Space, sampler: optuna.samplers.BaseSampler) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    for index in range(12):
        trial = study.ask(dict(space.distributions))
        architecture = space.architecture(trial.params)
        if index >= 10:
            assert_legal(space, architecture)
        study.tell(trial, float(index))


def test_ray_draws_legal_architectures(space: Space) -> None:
    generator = numpy_generator(SEED, space.name, "ray")
    domains = space.as_ray()
    assert set(domains) == set(space.distributions)
    for _ in range(3):
        genes = {name: domain.sample(random_state=generator) for name, domain in domains.items()}
        assert_legal(space, space.architecture(genes))


IDS = """
import json, spaces
from zenfront.pipeline.seeds import numpy_generator
print(json.dumps({
    name: [space.sample(numpy_generator(4, name, "ids", str(i))).id for i in range(20)]
    for name in spaces.names() for space in [spaces.load(name)]
}))
"""


@pytest.fixture(scope="module")
def ids_elsewhere() -> dict[str, Any]:
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    text = subprocess.run(
        [sys.executable, "-c", IDS], env=environment, check=True, capture_output=True, text=True
    ).stdout
    return dict(json.loads(text))


def test_ids_are_equal_in_another_process(space: Space, ids_elsewhere: dict[str, Any]) -> None:
    here = [space.sample(numpy_generator(SEED, space.name, "ids", str(i))).id for i in range(20)]
    assert here == ids_elsewhere[space.name]

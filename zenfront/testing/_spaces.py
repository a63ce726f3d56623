"""The contract of a search space."""

import json
import os
import subprocess
import sys

import numpy as np
import optuna
import pytest
import torch
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler
from torch import nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.spaces import Architecture, Network, Space, Task, initialise, without_auxiliaries
from zenfront.testing._space_checks import (
    SEED,
    assert_legal,
    assert_shapes,
    parameters,
    samples,
    symmetric,
    valid_samples,
)

_IDS = """
import importlib, json, sys
from zenfront.pipeline.seeds import numpy_generator
module, attribute = sys.argv[1:]
space = getattr(importlib.import_module(module), attribute)
print(json.dumps([space.sample(numpy_generator(4, space.name, "ids", str(i))).id for i in range(20)]))
"""


class SpaceTestCase:
    """The contract of a search space; define the fixture ``space``.

    Attributes:
        task: Task that the networks are built for; at least a tenth of the space must be buildable for it.
        tasks: Other tasks; the space must hold a network for at least one of them.
    """

    task = Task(3, 32, 32, 10)
    tasks = tuple(Task(c, side, side, classes) for c in (1, 3) for side in (64, 28, 8) for classes in (1000, 2))

    @pytest.fixture
    def space(self) -> Space:
        """The search space."""
        raise NotImplementedError("define the fixture `space`, which returns the search space")

    def test_source_is_one_short_line(self, space: Space) -> None:
        """The source fits into a table."""
        assert space.source
        assert "\n" not in space.source
        assert len(space.source) <= 120

    def test_size_is_the_product_of_the_levels_unless_counted(self, space: Space) -> None:
        """`size` is the number of points, or a smaller number that the literature counts."""
        product = 1
        for levels in space.levels.values():
            product *= levels.drawn
        assert space.size == product or (space.counted is not None and space.size == space.counted < product)

    def test_a_thousand_samples_are_legal(self, space: Space) -> None:
        """Samples are canonical; they are built, or their violation is one sentence."""
        drawn = samples(space, 1000, "legal")
        reasons = [space.violation(architecture, self.task) for architecture in drawn]
        assert all(reason is None or reason.strip() for reason in reasons)
        assert sum(reason is None for reason in reasons) >= 100
        for architecture in drawn[:8]:
            assert_legal(space, architecture, self.task)

    def test_json_round_trip(self, space: Space) -> None:
        """JSON gives the same architecture with the same id."""
        for architecture in samples(space, 1000, "json"):
            again = Architecture.from_json(architecture.to_json())
            assert again == architecture
            assert again.to_json() == architecture.to_json()
            assert space.architecture(json.loads(architecture.to_json())["genes"]).id == architecture.id

    def test_notation_round_trip(self, space: Space) -> None:
        """`parse` is the inverse of `notation`."""
        for architecture in samples(space, 200, "notation"):
            text = space.notation(architecture)
            assert space.architecture(space.parse(text)) == architecture

    def test_notation_tells_architectures_apart(self, space: Space) -> None:
        """Two architectures have two notations."""
        drawn = set(samples(space, 200, "notation"))
        assert len({space.notation(architecture) for architecture in drawn}) == len(drawn)

    def test_nonsense_notation_is_a_user_error(self, space: Space) -> None:
        """Text that is no architecture is the user's error."""
        with pytest.raises(UserError):
            space.architecture(space.parse("nonsense"))

    def test_unknown_missing_and_foreign_genes_are_user_errors(self, space: Space) -> None:
        """Wrong genes are the user's error."""
        genes: dict[str, object] = dict(samples(space, 1, "errors")[0].genes)
        first = next(iter(genes))
        with pytest.raises(UserError, match="no gene 'nonsense'"):
            space.architecture({**genes, "nonsense": 1})
        with pytest.raises(UserError, match=f"'{first}' is missing"):
            space.architecture({name: value for name, value in genes.items() if name != first})
        with pytest.raises(UserError, match=f"'{first}'"):
            space.architecture({**genes, first: -12345})

    def test_each_layer_that_is_shared_has_a_name_of_its_own(self, space: Space) -> None:
        """`sharing`, if there is one, names each layer of a network once."""
        for architecture in valid_samples(space, 5, "sharing", self.task) if space.sharing else ():
            assert space.sharing
            network = space.network(architecture, self.task)
            layers = [name for name, module in network.named_modules() if module._parameters or module._buffers]
            assert len({space.sharing(architecture, name) for name in layers}) == len(layers)

    def test_canonical_is_idempotent_and_keeps_validity(self, space: Space) -> None:
        """The canonical form of a canonical form is itself, and can be built if the original can."""
        generator = numpy_generator(SEED, space.name, "idempotent")
        for _ in range(500):
            literal = space.literal(space.random_levels(generator))
            once = space.canonical(literal)
            assert space.canonical(once) == once
            assert (space.violation(literal, self.task) is None) == (space.violation(once, self.task) is None)

    def test_canonical_keeps_the_function(self, space: Space) -> None:
        """The network of the canonical form has a head of the same shape, and computes the same outputs.

        The weights are equal over channels, so that the order of equal branches does not matter: a change of a width
        before the last is not seen.
        """
        task, generator = self.task, numpy_generator(SEED, space.name, "function")
        drawn = [space.literal(space.random_levels(generator)) for _ in range(100)]
        changed = [one for one in drawn if one != space.canonical(one) and space.violation(one, task) is None]
        pairs = [[_built(space, one, task) for one in (literal, space.canonical(literal))] for literal in changed[:10]]
        for literal, canonical in pairs:
            assert _shapes(literal.head) == _shapes(canonical.head)
        shape = (2, task.channels, task.height, task.width)
        images = torch.randn(shape, generator=torch_generator(SEED, "images"), dtype=torch.float64)
        for networks in sorted(pairs, key=lambda pair: sum(p.numel() for p in pair[0].parameters()))[:2]:
            with torch.no_grad():
                outputs = [symmetric(network)(images) for network in networks]
            torch.testing.assert_close(outputs[0], outputs[1])

    def test_forward_and_backward_at_batch_two(self, space: Space) -> None:
        """Logits are finite and (N, K), and gradients reach every parameter."""
        task = self.task
        shape = (2, task.channels, task.height, task.width)
        images = torch.randn(shape, generator=torch_generator(SEED, "images"))
        drawn = sorted(valid_samples(space, 8, "backward", task), key=lambda a: parameters(space, a, task))
        for architecture in drawn[:2]:
            network = initialise(space.network(architecture, task), torch_generator(SEED, architecture.id))
            logits = network(images)
            assert logits.shape == (2, task.out_features)
            assert torch.isfinite(logits).all()
            logits.square().sum().backward()
            without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
            assert without == []
            assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)

    def test_a_network_has_two_parts_and_no_activation_in_place(self, space: Space) -> None:
        """A network is `features` and `head`."""
        (architecture,) = valid_samples(space, 1, "parts", self.task)
        network = space.network(architecture, self.task)
        assert [name for name, _ in network.named_children()] == ["features", "head"]
        assert not any(getattr(module, "inplace", False) for module in network.modules())

    def test_without_auxiliaries_the_shapes_stay(self, space: Space) -> None:
        """Shortcuts and squeeze-and-excitation can be left out."""
        task = self.task
        (architecture,) = valid_samples(space, 1, "auxiliaries", task)
        network = space.network(architecture, task)
        with without_auxiliaries(network):
            images = torch.empty(2, task.channels, task.height, task.width, device="meta")
            assert network(images).shape == (2, task.out_features)

    def test_any_task_builds_or_states_a_violation(self, space: Space) -> None:
        """Other images and classes give a network of the right shapes, or a violation."""
        drawn = valid_samples(space, 8, "tasks", self.task)
        architecture = min(drawn, key=lambda a: parameters(space, a, self.task))
        built = 0
        for task in self.tasks:
            assert_legal(space, architecture, task)
            if space.violation(architecture, task) is None and built < 3:
                assert_shapes(space, architecture, task)
                built += 1
        assert built

    def test_neighbours_are_legal_and_others(self, space: Space) -> None:
        """A mutation gives another architecture, each once."""
        generator = numpy_generator(SEED, space.name, "neighbours")
        for architecture in valid_samples(space, 1, "neighbours", self.task):
            around = list(space.neighbours(architecture))
            assert around
            assert architecture not in around
            assert len(set(around)) == len(around)
            for index in generator.permutation(len(around))[:2]:
                assert_legal(space, around[int(index)], self.task)

    def test_crossover_is_legal(self, space: Space) -> None:
        """Genes of two parents give an architecture."""
        generator = numpy_generator(SEED, space.name, "crossover")
        parents = samples(space, 8, "crossover")
        for mother, father in zip(parents[::2], parents[1::2], strict=True):
            genes = np.array([space.encode(mother), space.encode(father)])
            child = genes[generator.integers(2, size=genes.shape[1]), np.arange(genes.shape[1])]
            assert_legal(space, space.decode(child), self.task)

    @pytest.mark.parametrize("sampler", [RandomSampler(seed=SEED), NSGAIISampler(seed=SEED, population_size=8)])
    def test_optuna_draws_legal_architectures(self, space: Space, sampler: BaseSampler) -> None:
        """The distributions are Optuna's."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=sampler)
        for index in range(12):
            trial = study.ask(dict(space.distributions))
            architecture = space.architecture(trial.params)
            if index >= 10:
                assert_legal(space, architecture, self.task)
            study.tell(trial, float(index))

    def test_ray_draws_legal_architectures(self, space: Space) -> None:
        """The domains are Ray Tune's."""
        generator = numpy_generator(SEED, space.name, "ray")
        domains = space.as_ray()
        assert set(domains) == set(space.distributions)
        for _ in range(3):
            genes = {name: domain.sample(random_state=generator) for name, domain in domains.items()}
            assert_legal(space, space.architecture(genes), self.task)

    def test_ids_are_equal_in_another_process(self, space: Space) -> None:
        """The same draw has the same id under another hash seed; the space must be an attribute of a module."""
        here = [space.sample(numpy_generator(SEED, space.name, "ids", str(i))).id for i in range(20)]
        environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", _IDS, *_place(space)]
        there = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        assert json.loads(there.stdout) == here


def _place(space: Space) -> tuple[str, str]:
    """Find a module and its attribute that is this space."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__spec__", None) and not name.rpartition(".")[2].startswith("test_"):
            for attribute, value in list(vars(module).items()):
                if value is space:
                    return name, attribute
    raise AssertionError(f"the space {space.name!r} is no attribute of a module that another process can import")


def _built(space: Space, architecture: Architecture, task: Task) -> Network:
    with torch.device("meta"):
        return space.build(architecture, task)


def _shapes(module: nn.Module) -> list[torch.Size]:
    return [parameter.shape for parameter in module.parameters()]

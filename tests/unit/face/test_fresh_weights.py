"""Fresh weights come from each score's own distribution, or from a module's own reset_parameters."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import zenfront as zf
from zenfront.pipeline.foreign.weights import draw_anew, kept


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Own(nn.Module):
    """A layer of the user's, with parameters that it draws itself, and one that it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn, self.layer = nn.Parameter(torch.zeros(1000)), nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.drawn, 3.0, 0.5)
        nn.init.constant_(self.layer.weight, 7.0)


@pytest.mark.parametrize(("init", "deviation"), [("gaussian", 1.0), ("kaiming", math.sqrt(2 / 27))])
def test_layers_are_drawn_from_the_distribution_of_the_score(init: Any, deviation: float) -> None:
    """27 inputs a channel, 27,000 weights: six standard errors of a standard deviation are 6 / sqrt(54,000) of it."""
    layer = nn.Conv2d(3, 1000, 3)
    draw_anew(nn.Sequential(layer), generator(), init)
    assert float(layer.weight.detach().std()) == pytest.approx(deviation, rel=0.026)
    assert layer.bias is not None
    assert not layer.bias.any()


def test_modules_draw_their_own_parameters_and_parents_do_not_undo_their_children() -> None:
    own = Own()
    own.norm.weight.data.fill_(9)
    draw_anew(nn.Sequential(own), generator(), "gaussian")
    assert float(own.drawn.detach().mean()) == pytest.approx(3, abs=6 * 0.5 / math.sqrt(1000))
    assert not own.layer.weight.eq(7).any()
    assert own.norm.weight.eq(1).all()


def test_the_seed_decides_what_modules_draw_themselves() -> None:
    module = Own()

    def drawn(seed: int) -> Tensor:
        draw_anew(module, generator(seed), "default")
        return module.drawn.detach().clone()

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_what_nothing_draws_keeps_its_values_and_is_told(given: Any) -> None:
    module = given.modules["vit"]()
    before = module.positions.detach().clone()
    draw_anew(module, generator(), "kaiming")
    assert torch.equal(module.positions, before)
    assert kept(module) == ["token", "positions"]
    notes = zf.score(module, ["snip"], images=given.images, labels=given.labels).notes
    assert "weights: token, positions keep their values: their modules have no reset_parameters" in notes


def test_a_weight_that_is_computed_from_others_is_kept(given: Any) -> None:
    layer = weight_norm(nn.Linear(192, 5))
    module = nn.Sequential(nn.Flatten(), layer)
    before = layer.weight.detach().clone()
    draw_anew(module, generator(), "gaussian")
    assert torch.equal(layer.weight, before)
    assert kept(module) == ["1.bias", "1.parametrizations.weight.original0", "1.parametrizations.weight.original1"]


def test_attention_of_torch_draws_its_own_and_is_noted(given: Any) -> None:
    """Its projections lie in one parameter, which scores over layers do not see."""
    notes = zf.score(given.modules["encoder"](), ["snip"], images=given.images, labels=given.labels).notes
    assert "weights: MultiheadAttention draw their own by reset_parameters, whatever the score defines" in notes
    assert any(note.startswith("MultiheadAttention: scores over convolutions and linear layers") for note in notes)

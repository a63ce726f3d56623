"""Features and blocks are found in any forward pass, and named; a name of the user's decides otherwise."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zenfront as zf

FEATURES = {
    "resnet": "the output of 'layer2', (16, 4, 4)",
    "pre-activation": "the result of max_pool2d, (8, 4, 4)",
    "plain": "the output of '0', (8, 4, 4)",
    "squeezed": "the output of 'last', (8, 4, 4)",
    "vit": "the output of 'norm', (5, 12)",
    "encoder": "the output of 'encoder', (4, 12)",
    "mlp": "the output of '2', (16,)",
}
BLOCKS = {
    "resnet": "conv1, layer1.0, layer1.1, layer2.0, layer2.1",
    "pre-activation": "stem",  # the others are on a branch
    "plain": "0.3, 0.6",  # each ends before the next convolution
    "squeezed": "stem, last",
}


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_the_input_of_the_last_pooling_and_linear_head(given: Any, name: str) -> None:
    notes = zf.score(given.modules[name](), ["zen"], images=given.images).notes
    assert notes[0] == f"features: {FEATURES[name]} for an image; features= names another module"


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_are_what_everything_goes_through(given: Any, name: str) -> None:
    notes = zf.score(given.modules[name](), ["az_expressivity"], images=given.images).notes
    assert f"az_*: the blocks are {BLOCKS[name]}" in notes


class Head(nn.Module):
    """The end of a network: what the features are must not depend on how it is written."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.last = nn.Conv2d(6, 6, 1)
        self.fc = nn.Linear(6, 5)
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        match self.kind:
            case "mean":
                x = x.mean((2, 3))
            case "windows":
                x = F.avg_pool2d(x, 8).view(len(x), -1)
            case "pooled twice":
                x = F.adaptive_max_pool2d(F.adaptive_avg_pool2d(x, 4), 1).flatten(1)
            case "a convolution after pooling":
                x = F.relu(self.last(F.adaptive_avg_pool2d(x, 1))).flatten(1)
            case "dropout on maps":
                x = F.dropout(x, 0.5, self.training)[:, :, 0, 0]
            case "permuted":
                x = x.permute(0, 2, 3, 1).mean((1, 2))
        return self.fc(F.dropout(x, 0.5, self.training))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "kind", ["mean", "windows", "pooled twice", "a convolution after pooling", "dropout on maps", "permuted"]
)
def test_the_head_may_be_written_in_many_ways(given: Any, kind: str) -> None:
    notes = zf.score(Head(kind), ["zen"], images=given.images).notes
    expected = "the result of permute, (8, 8, 6)" if kind == "permuted" else "the output of 'body', (6, 8, 8)"
    assert notes[0].startswith(f"features: {expected} for an image")


def test_named_features_are_those_of_the_module(given: Any) -> None:
    """The Zen-score up to a layer is that of a network that ends there; the sums over its batch norms are, too."""

    class Shorter(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))

        def forward(self, x: Tensor) -> Tensor:
            part: Any = self.module
            return self.head(part.layer1(part.relu(part.bn1(part.conv1(x)))))  # type: ignore[no-any-return]

    module = given.modules["resnet"]()
    batch = {"images": given.images, "weights": "as_is", "options": {"zen": {"images": 8}}}
    whole = zf.score(module, ["meco", "zen"], **batch)
    named = zf.score(module, ["meco"], features="layer1", images=given.images, weights="as_is")
    shorter = zf.score(Shorter(module), ["meco"], images=given.images, weights="as_is")
    assert named["meco"] == shorter["meco"] != whole["meco"]
    assert named.notes[0].startswith("features: the output of 'layer1', (8, 8, 8)")


def test_features_must_be_computed_from_the_images(given: Any) -> None:
    class Unused(Head):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.body(x).mean((2, 3)))  # type: ignore[no-any-return]

    with pytest.raises(zf.UserError, match="'last' is not called, or returns nothing that is computed from the images"):
        zf.score(Unused(""), ["zen"], images=given.images, features="last")


def test_the_forward_pass_ends_at_the_features(given: Any) -> None:
    """What comes later is not computed, and what a module catches does not hold the end up."""
    seen: list[str] = []

    class Watched(Head):
        def forward(self, x: Tensor) -> Tensor:
            try:
                x = self.body(x)
                seen.append("body")
                x = x.mean((2, 3))
                seen.append("mean")
            except Exception:
                seen.append("caught")
            return self.fc(x)  # type: ignore[no-any-return]

    zf.score(Watched(""), ["meco"], images=given.images)
    assert seen == ["body", "mean", "body"]  # once whole, to find the features; then up to them


def test_a_forward_pass_that_takes_another_way_has_no_features(given: Any) -> None:
    class Moody(Head):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) == 2:  # the pass that is recorded
                x = x * 1.0
            return self.fc(self.body(x).mean((2, 3)))  # type: ignore[no-any-return]

    found = zf.score(Moody(""), ["meco", "snip"], images=given.images, labels=given.labels)
    assert "snip" in found
    assert found["meco"] != 0  # one step more is the mean, whose convolutions are the same


def test_a_network_of_a_search_space_knows_its_features_and_shortcuts(given: Any) -> None:
    space = zf.spaces.load("anynet3")
    architecture = space.architecture(space.parse("d1=1,w1=16,b1=2,g1=4,d2=1,w2=16,b2=1,g2=8,d3=1,w3=24,b3=2,g3=1"))
    task = (3, 8, 8, 5)
    network = zf.spaces.initialise(space.network(architecture, zf.spaces.Task(*task)), torch.Generator())
    found = zf.score(network, ["zen"], images=given.images)
    assert found.notes[0].startswith("features: the output of 'features', (24, 2, 2)")
    assert not any("shortcuts" in note for note in found.notes)

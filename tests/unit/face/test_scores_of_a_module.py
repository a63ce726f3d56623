"""Any module is scored as a network of a search space is, and is left as it was."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zenfront as zf
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Network, Task, initialise

TRANSFORMERS = ["vit", "encoder"]
PER_IMAGE = "per-image gradients of a layer that passes parameters to"
# What is not defined on a module, and a part of the reason.
UNDEFINED: dict[str, dict[str, str]] = {
    "resnet": {},
    "pre-activation": dict.fromkeys(["az_expressivity", "az_progressivity", "az_trainability"], "two blocks")
    | {"linear_regions": "rejects crops of 3 x 3 pixels"},
    "plain": {},
    "squeezed": {"ntk": "singular"},
    "vit": dict.fromkeys(["az_expressivity", "az_progressivity", "az_trainability"], "two blocks")
    | dict.fromkeys(["naswot", "swap"], "no ReLU")
    | dict.fromkeys(["ntk", "gradsign"], f"{PER_IMAGE} 'expand'")
    | {
        "linear_regions": "crops of 3 x 3",
        "zen": "undoes the scaling of batch norms only, but the module has LayerNorm",
    },
    "encoder": dict.fromkeys(["az_expressivity", "az_progressivity", "az_trainability"], "two blocks")
    | dict.fromkeys(["ntk", "gradsign"], f"{PER_IMAGE} 'multi_head_attention_forward'")
    | {"linear_regions": "crops of 3 x 3", "swap": "no ReLU on feature maps", "zen": "LayerNorm"},
    "mlp": dict.fromkeys(["az_expressivity", "az_progressivity", "az_trainability"], "two blocks")
    | {"linear_regions": "crops of 3 x 3", "swap": "no ReLU on feature maps", "meco": "no convolution"},
}

for _reasons in UNDEFINED.values():
    _reasons["supernet_accuracy"] = "needs the supernet of an experiment"


class Hidden(nn.Module):
    """A network of a search space, which does not show that it is one."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.body, self.top = network.features, network.head

    def forward(self, x: Tensor) -> Tensor:
        return self.top(self.body(x))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", UNDEFINED)
def test_every_score_has_a_value_or_a_reason(given: Any, name: str) -> None:
    found = zf.score(given.modules[name](), zf.proxies.names(), images=given.images, labels=given.labels)
    assert set(found.undefined) == set(UNDEFINED[name])
    assert all(reason in found.undefined[score] for score, reason in UNDEFINED[name].items())
    assert set(found) == set(zf.proxies.names()) - set(UNDEFINED[name])
    assert found.units == {score: zf.proxies.load(score).unit for score in zf.proxies.names()}
    assert set(found.seconds) >= set(found)


@pytest.mark.parametrize("name", sorted(set(zf.proxies.names()) - {"latency", "supernet_accuracy"}))
def test_a_module_scores_as_the_same_network_of_a_search_space(given: Any, name: str) -> None:
    """The same weights and the same noise; the memory format, and so the rounding, is another."""
    space, task = zf.spaces.load("anynet3"), Task(3, 8, 8, 5)
    text = "d1=1,w1=16,b1=2,g1=4,d2=2,w2=16,b2=1,g2=8,d3=1,w3=24,b3=2,g3=1"
    network = space.network(space.architecture(space.parse(text)), task)
    proxy = zf.proxies.load(name)
    options = {"mode": "reference"} if name in ("zen", "zico") else {}  # the shortcuts are left in
    if proxy.weights == "none":
        expected = proxy.score(network, Batch(given.images, given.labels).to("meta"), torch.Generator())
    else:
        initialise(network, torch_generator(0, "module", proxy.weights, "0"), proxy.weights)
        batch = Batch(given.images, given.labels)
        expected = proxy.score(network, batch, torch_generator(0, "module", name, "0"), **options)
    module = Hidden(initialise(network, torch.Generator().manual_seed(1)))
    found = zf.score(module, [name], images=given.images, labels=given.labels, options={name: options})
    assert found[name] == pytest.approx(expected, rel=1e-3 if name == "zico" else 1e-4)


@pytest.mark.parametrize("name", sorted(set(zf.proxies.names()) - {"latency", *UNDEFINED["pre-activation"]}))
def test_what_a_module_writes_in_place_does_not_change_its_score(given: Any, name: str) -> None:
    scores = [
        zf.score(given.modules[module](), [name], images=given.images, labels=given.labels)
        for module in ("pre-activation", "pre-activation, nothing in place")
    ]
    assert scores[0][name] == pytest.approx(scores[1][name], rel=1e-5)


def _state(module: nn.Module) -> list[Any]:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    found: list[Any] = [(name, id(t), t._version, t.requires_grad, t.grad is None) for name, t in tensors.items()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in module.modules()]
    return [*found, hooks, [(type(m), m.training, sorted(vars(m))) for m in module.modules()]]


@pytest.mark.parametrize("weights", ["fresh", "as_is"])
@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_a_module_is_left_as_it_was(given: Any, name: str, weights: Any) -> None:
    module = given.modules[name]()
    next(module.children()).eval()
    next(module.parameters()).requires_grad_(False)
    module(given.images)  # moves the running statistics
    state, values = _state(module), copy.deepcopy(module.state_dict())
    zf.score(module, zf.proxies.names(), images=given.images, labels=given.labels, weights=weights)
    assert _state(module) == state
    assert all(torch.equal(values[key], value) for key, value in module.state_dict().items())


def test_weights_as_they_are(given: Any) -> None:
    """SNIP and the norms of the weights by plain autograd, in train mode as the definition says."""
    module = given.modules["resnet"]()
    found = zf.score(module, ["snip", "l2_norm"], images=given.images, labels=given.labels, weights="as_is")
    layers = [m.weight for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    gradients = torch.autograd.grad(F.cross_entropy(module(given.images), given.labels), layers)
    expected = sum(float((w.detach() * g).abs().sum()) for w, g in zip(layers, gradients, strict=True))
    assert found["snip"] == pytest.approx(expected, rel=1e-4)
    assert found["l2_norm"] == pytest.approx(sum(float(w.detach().norm()) for w in layers), rel=1e-5)
    assert "the module's own" in found.notes[0]


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_tangent_kernel_of_a_transformer_row_by_row(given: Any, name: str) -> None:
    """Plain autograd over all parameters called weight, in eval mode, so that there is no dropout."""
    module, images = given.modules[name](), given.images[:6]
    options = {"ntk": {"method": "exact", "statistics": "eval", "precision": "float64"}}
    found = zf.score(module, ["ntk"], images=images, labels=given.labels[:6], weights="as_is", options=options)
    module.eval().double()
    weights = [p for key, p in module.named_parameters() if key.endswith("weight")]
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(logits.sum(), weights, retain_graph=True)])
        for logits in module(images.double())
    ]
    jacobian = torch.stack(rows)
    assert found["ntk"] == pytest.approx(float(torch.linalg.cond(jacobian @ jacobian.T)), rel=1e-6)


def test_the_costs_of_a_vision_transformer(given: Any) -> None:
    """Four patches of 48 values and a class token at width 12; two blocks; five classes."""
    t, d = 5, 12
    block = t * d * 3 * d + 2 * t * t * d + t * d * d + 2 * t * d * 2 * d
    found = zf.score(given.modules["vit"](), ["flops", "params"], images=given.images)
    assert found["flops"] == 4 * 48 * d + 2 * block + d * 5
    assert found["params"] == sum(p.numel() for p in given.modules["vit"]().parameters())


def test_the_same_seed_gives_the_same_scores_whatever_else_is_asked(given: Any) -> None:
    module, batch = given.modules["resnet"](), {"images": given.images, "labels": given.labels}
    together = zf.score(module, ["ntk", "zen", "snip"], **batch)
    assert [zf.score(module, name, **batch)[name] for name in together] == list(together.values.values())
    assert zf.score(module, "zen", seed=1, **batch)["zen"] != together["zen"]


def test_repeats_give_a_mean_and_its_error(given: Any) -> None:
    module, batch = given.modules["resnet"](), {"images": given.images, "labels": given.labels}
    one, two = (zf.score(module, ["zen", "flops"], repeats=n, **batch) for n in (1, 2))
    assert not one.errors
    assert set(two.errors) == {"zen"}
    second = 2 * two["zen"] - one["zen"]
    assert two.errors["zen"] == pytest.approx(abs(second - one["zen"]) / 2)


def test_a_score_that_needs_images_says_so_when_it_gets_noise(given: Any) -> None:
    names = ["zen", "ntk", "snip", "flops"]
    found = zf.score(given.modules["resnet"](), names, task=(3, 8, 8, 5))
    assert set(found) == {"zen", "flops"}
    assert found.undefined["ntk"] == "ntk: needs real images, and noise says nothing; pass images="
    assert found.undefined["snip"] == "snip: needs real images, and noise says nothing; pass images= and labels="
    assert "images: standard normal noise of the task's shape" in found.notes
    unlabelled = zf.score(given.modules["resnet"](), names, images=given.images)
    assert unlabelled.undefined == {"snip": "snip: needs the labels of the images; pass labels="}


def test_a_module_in_half_precision_is_scored_in_float32(given: Any) -> None:
    module = given.modules["resnet"]()
    expected = zf.score(module, ["zen"], images=given.images)
    found = zf.score(module.half(), ["zen"], images=given.images)
    assert found["zen"] == expected["zen"]
    assert "the module's weights are float16; scores are taken in float32" in found.notes


def test_shortcuts_are_noted_where_there_are_some(given: Any) -> None:
    def noted(module: nn.Module) -> list[str]:
        names = ["zen", "zico"]
        return [n for n in zf.score(module, names, images=given.images, labels=given.labels).notes if "shortcuts" in n]

    assert noted(given.modules["resnet"]())[0].startswith("zen, zico: defined without shortcuts")
    assert noted(given.modules["plain"]()) == []


class Tuple(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return (super().forward(x.flatten(1)), x)  # type: ignore[return-value]


class Maps(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Locked(nn.Linear):
    def __deepcopy__(self, memo: object) -> None:
        raise RuntimeError("there is only one")


ERRORS: dict[str, tuple[Callable[[Any], object], str]] = {
    "unknown score": (lambda g: zf.score(g.modules["mlp"](), ["zan"], images=g.images), "Did you mean 'zen'"),
    "no score": (lambda g: zf.score(g.modules["mlp"](), [], images=g.images), "name at least one score"),
    "unknown option": (
        lambda g: zf.score(g.modules["mlp"](), ["zen"], images=g.images, options={"zen": {"modes": 1}}),
        "has no option 'modes'.*Did you mean 'mode'",
    ),
    "option of another score": (
        lambda g: zf.score(g.modules["mlp"](), ["zen"], images=g.images, options={"ntk": {}}),
        "an entry for 'ntk', which is not among the scores: zen",
    ),
    "no images": (lambda g: zf.score(g.modules["mlp"](), ["zen"]), "give images=.*or task="),
    "images of another type": (
        lambda g: zf.score(g.modules["mlp"](), ["zen"], images=g.images.byte()),
        r"float32 or float64 of shape \(N, C, H, W\), normalised, but is uint8",
    ),
    "not finite": (lambda g: zf.score(g.modules["mlp"](), ["zen"], images=g.images / 0), "finite values"),
    "wrong labels": (
        lambda g: zf.score(g.modules["mlp"](), ["snip"], images=g.images, labels=g.labels[:3]),
        r"labels= must be int64 of shape \(16,\)",
    ),
    "labels out of range": (
        lambda g: zf.score(g.modules["mlp"](), ["snip"], images=g.images, labels=g.labels + 1),
        "from 0 to 4 for 5 classes, but are 1 to 5",
    ),
    "images of another shape": (
        lambda g: zf.score(g.modules["mlp"](), ["zen"], images=g.images[:, :, :4]),
        r"Sequential does not take images of shape \(2, 3, 4, 8\)",
    ),
    "another task": (
        lambda g: zf.score(g.modules["mlp"](), ["zen"], images=g.images, task=(3, 9, 9, 5)),
        r"shape \(N, \*\(3, 9, 9\)\) of the task",
    ),
    "a tuple": (lambda g: zf.score(Tuple(192, 5), ["zen"], images=g.images), "returns tuple. Wrap it"),
    "feature maps": (
        lambda g: zf.score(Maps(3, 5, 3), ["zen"], images=g.images),
        r"logits, a tensor \(N, K\), but returns a tensor of shape \(2, 5, 6, 6\)",
    ),
    "no copy": (
        lambda g: zf.score(nn.Sequential(nn.Flatten(), Locked(192, 5)), ["zen"], images=g.images),
        "cannot be copied.*there is only one",
    ),
    "lazy": (lambda g: zf.score(nn.LazyLinear(5), ["zen"], images=g.images), "call it once on an image"),
    "meta": (lambda g: zf.score(nn.Linear(3, 5, device="meta"), ["zen"], images=g.images), "to_empty"),
    "features unknown": (
        lambda g: zf.score(g.modules["resnet"](), ["zen"], images=g.images, features="layer3"),
        "no module named 'layer3'. Did you mean 'layer2'",
    ),
    "weights unknown": (
        lambda g: zf.score(g.modules["resnet"](), ["zen"], images=g.images, weights="random"),  # type: ignore[call-overload]
        "'fresh' or 'as_is', but got 'random'",
    ),
    "device": (
        lambda g: zf.score(g.modules["resnet"](), ["zen"], images=g.images, device="cuda"),  # type: ignore[call-overload]
        "on the device that it is on",
    ),
    "no arguments": (lambda g: zf.score(g.images), r"score takes \(module, names\) or .*but got \(Tensor\)"),  # type: ignore[call-overload]
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_mistake_is_told_with_rule_value_and_remedy(given: Any, case: str) -> None:
    call, message = ERRORS[case]
    with pytest.raises(zf.UserError, match=message):
        call(given)

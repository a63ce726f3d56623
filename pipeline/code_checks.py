"""Whether a search space, a score or a training of the user's own keeps the rules that the pipeline relies on."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args, get_type_hints

import torch

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.proxies import Need, Proxy
from zenfront.pipeline.results.metric import Direction
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.user_code import UserCode
from zenfront.spaces import Architecture, Init, Space, Task

SAMPLES = 20
DIRECTIONS, WEIGHTS, NEEDS = get_args(Direction), ("none", *get_args(Init)), get_args(Need)


def check_space(space: Space, code: UserCode, task: Task, seed: int) -> None:
    """Check some architectures against the rules of docs/add-a-space.md, and build one for the task.

    Raises:
        UserError: A rule is broken, or the code raises an error. The message begins with the file and the line.
    """
    with _running(code, "distributions"):
        _require(space.levels, code, "distributions must hold a gene")
    generator, built = numpy_generator(seed, "code checks"), False
    for _ in range(SAMPLES):
        with _running(code, "canonical"):
            architecture = space.sample(generator)
            _check_canonical(space, code, architecture)
        with _running(code, "notation"):
            text = space.notation(architecture)
            again = space.architecture(space.parse(text))
            _require(again == architecture, code, f"parse must read back what notation writes, but not {text!r}")
        with _running(code, "violation"):
            reason = space.violation(architecture, task)
            stated = reason is None or (isinstance(reason, str) and bool(reason.strip()))
            _require(stated, code, f"violation must return a sentence or None, but got {reason!r}")
        if reason is None and not built:
            with _running(code, f"build of {text}"):
                _check_network(space, code, architecture, task)
            built = True


def _check_canonical(space: Space, code: UserCode, architecture: Architecture) -> None:
    genes = tuple(name for name, _ in architecture.genes)
    _require(
        (architecture.space, genes) == (space.name, tuple(space.distributions)),
        code,
        f"canonical must keep the space and the genes ({', '.join(space.distributions)}), but got {architecture}",
    )
    again = space.canonical(architecture)
    _require(again == architecture, code, f"canonical applied twice must change nothing, but got {again}")
    legal = space.decode(space.encode(architecture)) == architecture
    _require(legal, code, f"canonical must return levels of the distributions, but got {architecture}")


def _check_network(space: Space, code: UserCode, architecture: Architecture, task: Task) -> None:
    network = space.network(architecture, task).eval()
    images = torch.empty(2, task.channels, task.height, task.width, device="meta")
    with torch.no_grad():
        features = network.features(images)
        _require(features.ndim == 4, code, f"features must be (N, C, H, W), but got {tuple(features.shape)}")
        logits = network.head(features)
    wanted = (2, task.out_features)
    _require(logits.shape == wanted, code, f"logits must be (N, K), here {wanted}, but got {tuple(logits.shape)}")


def check_proxy(proxy: Proxy, code: UserCode) -> None:
    """Check what a proxy says about itself, and the parameters of its score.

    Raises:
        UserError: A rule is broken. The message begins with the file and the line.
    """
    for field in ("unit", "source"):
        text = getattr(proxy, field)
        _require(isinstance(text, str) and text, code, f"{field} must be text, but got {text!r}")
    for field, known in (("direction", DIRECTIONS), ("weights", WEIGHTS)):
        value = getattr(proxy, field)
        _require(value in known, code, f"{field} must be one of {', '.join(known)}, but got {value!r}")
    unknown = sorted(set(proxy.needs) - set(NEEDS))
    _require(not unknown, code, f"needs must be among {', '.join(NEEDS)}, but got {', '.join(map(str, unknown))}")
    with _running(code, "score"):
        parameters = list(inspect.signature(proxy.score).parameters.values())
        hints = get_type_hints(proxy.score)
    options = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
    given = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    _require(
        len(given) == 3 and len(parameters) == 3 + len(options),
        code,
        f"score must take (network, batch, generator, *, options), but takes {inspect.signature(proxy.score)}",
    )
    for option in options:
        typed = option.default is not option.empty and option.name in hints
        _require(typed, code, f"option {option.name!r} of score must have a type and a default")


def check_training_function(function: object, code: UserCode) -> None:
    """Check that a training function can be called with the arguments of docs/own-training.md.

    Raises:
        UserError: It cannot. The message begins with the file and the line.
    """
    _require(callable(function), code, f"must be a function, but is a {type(function).__name__}")
    assert callable(function)
    keywords = dict.fromkeys(("epochs", "seed", "device", "checkpoint", "options"))
    try:
        inspect.signature(function).bind(None, **keywords)
    except TypeError as error:
        wanted, taken = f"(network, *, {', '.join(keywords)})", inspect.signature(function)
        rule = f"must take {wanted}, but takes {taken}: {error}"
        raise UserError(f"{code.where()}: {code.attribute}: {rule}.") from error
    except ValueError:  # the signature of a function in native code is not known
        return


def _require(held: object, code: UserCode, rule: str) -> None:
    if not held:
        raise UserError(f"{code.where()}: {code.attribute}: {rule}.")


@contextmanager
def _running(code: UserCode, part: str) -> Iterator[None]:
    """Turn what the user's code raises into one message with its place."""
    try:
        yield
    except UserError as error:
        own = str(error).startswith(code.file)
        raise error if own else UserError(f"{code.where()}: {code.attribute}: {part}: {error}") from error
    except Exception as error:
        place = code.where(error) if code.where(error) != code.file else code.where()
        raise UserError(f"{place}: {code.attribute}: {part}: {type(error).__name__}: {error}.") from error

"""Gradients per image, layer by layer, in one backward pass: without the (N, P) Jacobian."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import out_of_place
from zenfront.pipeline.proxies._gradient_mean import GradientMean
from zenfront.pipeline.proxies._layer_calls import Convolution, Linear, Norm, PrecomputedOutput
from zenfront.pipeline.proxies._patches import Pair, Patches

ALL_TOGETHER = 20  # layers up to which the batch's backward pass goes all the way
TOGETHER = 0.4  # of the layers that it comes to otherwise
NEAR = 10  # calls of layers from the first convolution on, whose norms count for `FirstLayer`


@dataclass(eq=False)
class _Weight:
    """The gradients of a weight, added up over its uses.

    Attributes:
        uses: How many there are.
        rows: (N, elements), from `used` of them.
        used: See `rows`.
        total: (1, elements), of the batch, from `totalled` uses.
        totalled: See `total`.
    """

    uses: int = 0
    rows: Tensor | None = None
    used: int = 0
    total: Tensor | None = None
    totalled: int = 0


@dataclass(eq=False)
class FirstLayer:
    """The first convolution and the batch norms in train mode that follow it soon, its own left out.

    Its gradients make most of the largest eigenvalue of J J^T, and depend most on the statistics of those norms.

    Attributes:
        place: Its number among the calls.
        convolution: The call.
        weight: Its weight.
        norms: With their inputs, whose graphs lead back to the convolution.
        rows: (N, elements), the weight's gradients.
    """

    place: int
    convolution: Convolution
    weight: _Weight
    norms: list[tuple[Tensor, Norm]] = field(default_factory=list)
    rows: Tensor = field(init=False)


class PerImageGradients(TorchFunctionMode):
    """Runs a network so that `backward` of a sum over images yields every image's own gradient.

    For each weight of a convolution, linear layer or batch norm `take` gets the rows (N, elements): row i the gradient
    of image i's term. Batch norms use fixed statistics: in train mode the batch's, in eval mode the running ones.

    With `batch_statistics` the rows get most of what the derivative of the batch's statistics adds in train mode:

    * The part that stays within a layer. For a convolution z = W u before a batch norm, s the positions of image i,
      row_c = gamma_c / sigma_c (sum_s dy_cs u_s - (sum_s dy_cs) E[u] - (sum_s dy_cs zhat_cs) E[zhat_c u]), E the mean
      over positions and over some images of the batch.
    * The mean over the rows, from a second backward pass, of the batch: the network's mean output hardly depends on
      the weights, since batch norms fix the features' mean, which no image sees for itself. In deep networks that pass
      stops on its way: the mean's part of the rows hardly changes from layer to layer, and the layers nearer to the
      images get the part that it has in those where the pass ended.
    * Along a direction of choice, for the first convolution alone, see `FirstLayer`.

    Without batch norms in train mode everything is exact.
    """

    def __init__(self, take: Callable[[Tensor], None], *, batch_statistics: bool = False) -> None:
        super().__init__()
        self._take = take
        self._batch_statistics = batch_statistics
        self._mean_row = GradientMean()
        self._together = False
        self._stop = 0
        self._only: int | None = None
        self._depends_on_batch = False
        self._calls = 0
        self._first: FirstLayer | None = None
        self._convolutions: dict[int, tuple[Tensor, Convolution]] = {}  # by the id of their output, which must live
        self._weights: dict[int, _Weight] = {}
        self._handlers: dict[Callable[..., Any], Callable[..., Tensor]] = {
            torch.conv2d: self._convolution,
            F.linear: self._linear,
            F.batch_norm: self._batch_norm,
        }

    def backward(self, total: Tensor) -> FirstLayer | None:
        """Goes back from the sum over images of the network's output; `take` gets the rows of all weights.

        Args:
            total: The sum, a scalar.

        Returns:
            The first convolution, with `batch_statistics` and where norms follow it.

        Raises:
            ScoreUndefined: The sum does not depend on any weight.
        """
        if not total.requires_grad:
            raise ScoreUndefined("the output does not depend on any weight")
        if self._batch_statistics and self._depends_on_batch:
            self._stop = 0 if self._calls <= ALL_TOGETHER else round((1 - TOGETHER) * self._calls)
            self._back_together([total], None)
        torch.autograd.backward(total, retain_graph=bool(self._first and self._first.norms))
        for weight in self._weights.values():
            if weight.rows is not None:
                self._complete(weight)
        first, self._first = self._first, None  # its graphs lead back to here: a cycle would keep their memory
        return first if first and first.norms and first.weight.used else None

    def missing(self, first: FirstLayer, direction: Tensor) -> Tensor:
        """What sum_n direction_n rows_n lacks: the part through the statistics of the norms, (elements,).

        The direction's sum must be 0: the mean of the rows has that part already.
        """
        parts = [(x, norm.through_statistics(direction)) for x, norm in first.norms]
        sources = [(x, part) for x, part in parts if part is not None]
        self._stop, self._only, first.weight.total = 0, first.place, None
        self._back_together([x for x, _ in sources], [part for _, part in sources])
        total = first.weight.total
        return torch.zeros_like(first.rows[0]) if total is None else total[0]

    def _back_together(self, roots: list[Tensor], gradients: list[Tensor] | None) -> None:
        self._together = True
        torch.autograd.backward(roots, gradients, retain_graph=True)
        self._together = False

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for _, convolution in self._convolutions.values():
            convolution.settle()
        self._convolutions.clear()  # an output leads back to here: a cycle would keep its memory

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if handler := self._handlers.get(func):
            result = handler(*args, **kwargs)
        else:
            result = func(*args, **out_of_place(kwargs))
            if isinstance(result, Tensor) and any(isinstance(a, nn.Parameter) for a in args):
                name = getattr(func, "__name__", func)
                raise NotImplementedError(
                    f"no fast way for a layer that gives parameters to {name!r}: use mode='reference'"
                )
        if func is not F.batch_norm and next(_tensors([result]), None) is not None:
            for tensor in _tensors([*args, *kwargs.values()]):
                if convolution := self._convolution_of(tensor):
                    convolution.goes_elsewhere = True
        return result

    def _convolution(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
    ) -> Tensor:
        inputs, w, b = x.detach(), weight.detach(), _detached(bias)
        call = Convolution(inputs, Patches.of(w, stride, padding, dilation, groups), b, self._rows_of(weight))
        if self._batch_statistics and self._first is None:
            call.sample = len(x)
            self._first = FirstLayer(self._calls, call, self._weights[id(weight)])
        z = self._given(x, torch.conv2d(inputs, w, b, stride, padding, dilation, groups), call)
        self._convolutions[id(z)] = (z, call)
        return z

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        inputs, w = x.detach(), weight.detach()
        return self._given(x, F.linear(inputs, w, _detached(bias)), Linear(inputs, w, self._rows_of(weight)))

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        z, gamma, beta = x.detach(), _detached(weight), _detached(bias)
        if training:
            y, mean, inverse = torch.native_batch_norm(z, gamma, beta, None, None, True, 0.0, eps)
        else:
            assert running_mean is not None
            assert running_var is not None
            y = F.batch_norm(z, running_mean, running_var, gamma, beta, False, 0.0, eps)
            mean, inverse = running_mean, (running_var + eps).rsqrt()
        gamma = torch.ones_like(mean) if gamma is None else gamma
        corrects, convolution = training and self._batch_statistics, self._convolution_of(x)
        norm = Norm(z, mean, inverse, gamma, self._rows_of(weight), corrects)
        if convolution is not None:
            convolution.norms.append(norm)
        first = self._first if corrects and x.requires_grad else None
        if first and convolution is not first.convolution and self._calls < first.place + NEAR:
            first.norms.append((x, norm))
        self._depends_on_batch |= training
        return self._given(x, y, norm)

    def _given(self, x: Tensor, y: Tensor, call: Convolution | Linear | Norm) -> Tensor:
        """`y`, from which the backward passes go on to `x` as the call says."""
        place = self._calls
        self._calls += 1

        def back(dy: Tensor, goes_on: bool) -> Tensor | None:
            if not self._together:
                return call.back(dy, goes_on)
            return call.back_together(dy, goes_on, self._only in (None, place)) if place >= self._stop else None

        given: Tensor = PrecomputedOutput.apply(x, x.new_empty(0).requires_grad_(), [y], back)  # type: ignore[no-untyped-call]
        return given

    def _convolution_of(self, z: object) -> Convolution | None:
        return self._convolutions[id(z)][1] if id(z) in self._convolutions else None

    def _rows_of(self, parameter: Tensor | None) -> Callable[[Tensor], None]:
        """What takes the gradients of one more use of a parameter."""
        if parameter is None:
            return _ignore
        weight = self._weights.setdefault(id(parameter), _Weight())
        weight.uses += 1
        return partial(self._add, weight)

    def _add(self, weight: _Weight, rows: Tensor) -> None:
        """Adds the rows of one use; with the last one they are complete."""
        rows = rows.flatten(1)
        if self._together:
            weight.total = rows if weight.total is None else weight.total + rows
            weight.totalled += 1
            return
        weight.rows = rows if weight.rows is None else weight.rows + rows
        weight.used += 1
        if weight.used == weight.uses:
            self._complete(weight)

    def _complete(self, weight: _Weight) -> None:
        rows, total = weight.rows, weight.total
        assert rows is not None
        weight.rows = weight.total = None
        if self._batch_statistics and self._depends_on_batch:
            if total is not None and weight.totalled == weight.uses:
                self._mean_row.set(rows, total)
            else:
                self._mean_row.guess(rows)
        if self._first is not None and self._first.weight is weight:
            self._first.rows = rows
        self._take(rows)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Those among arguments or results, also within lists."""
    for value in values:
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, Tensor):
                yield one


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()


def _ignore(rows: Tensor) -> None:
    """The rows of a norm without parameters."""

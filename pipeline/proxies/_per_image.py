"""Per-image gradients, layer by layer in one backward pass, without storing the (N, P) Jacobian."""

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

FULL_PASS = 20  # number of layer calls up to which the backward pass of the batch covers all of them
PARTIAL_PASS = 0.4  # fraction of the layer calls that it covers otherwise, counted from the last
NEAR = 10  # layer calls, starting at the first convolution, whose norms `FirstLayer` includes


@dataclass(eq=False)
class _Weight:
    """Gradients of a weight, accumulated over its uses.

    Attributes:
        uses: Number of uses in the forward pass.
        rows: Gradient of every image, (N, elements), summed over `used` uses.
        used: Number of uses in `rows`.
        total: Gradient of the batch, (1, elements), summed over `totalled` uses.
        totalled: Number of uses in `total`.
    """

    uses: int = 0
    rows: Tensor | None = None
    used: int = 0
    total: Tensor | None = None
    totalled: int = 0


@dataclass(eq=False)
class FirstLayer:
    """The first convolution and the train-mode batch norms that closely follow it, except its own.

    The gradients of this convolution contribute most of the largest eigenvalue of J J^T, and depend more than any
    others on the statistics of those norms.

    Attributes:
        place: Index of the convolution among the layer calls.
        convolution: The call of the convolution.
        weight: The weight of the convolution.
        norms: The norms, each with its input, whose graph leads back to the convolution.
        rows: Gradient of the weight for every image, (N, elements).
    """

    place: int
    convolution: Convolution
    weight: _Weight
    norms: list[tuple[Tensor, Norm]] = field(default_factory=list)
    rows: Tensor = field(init=False)


class PerImageGradients(TorchFunctionMode):
    """Torch function mode after which `backward` of a sum over images computes the gradient of every image.

    For each weight of a convolution, linear layer or batch norm, `take` receives the rows (N, elements), where row i is
    the gradient of the term of image i. Batch norms use fixed statistics: those of the batch in train mode, the running
    statistics in eval mode.

    With `batch_statistics`, the rows also include most of the contribution of the derivative of the batch statistics in
    train mode, which has three parts:

    * The part within a layer. For a convolution z = W u before a batch norm,
      row_c = gamma_c / sigma_c (sum_s dy_cs u_s - (sum_s dy_cs) E[u] - (sum_s dy_cs zhat_cs) E[zhat_c u]), where s runs
      over the positions of image i and E is the mean over the positions of some images of the batch.
    * The mean over the rows, computed by a second backward pass for the whole batch. The mean output of the network
      hardly depends on the weights, because batch norms fix the mean of the features, which gradients of separate
      images cannot reflect. In deep networks the second pass stops early: the ratio of the mean to the spread of the
      rows hardly changes from layer to layer, so the remaining layers get the ratio of the layers where the pass
      stopped.
    * The part along a chosen direction, for the first convolution only (see `FirstLayer`).

    The rows are exact for networks without batch norms in train mode.
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
        # Keyed by the id of the output, which is kept alive so that its id stays unique.
        self._convolutions: dict[int, tuple[Tensor, Convolution]] = {}
        self._weights: dict[int, _Weight] = {}
        self._handlers: dict[Callable[..., Any], Callable[..., Tensor]] = {
            torch.conv2d: self._convolution,
            F.linear: self._linear,
            F.batch_norm: self._batch_norm,
        }

    def backward(self, total: Tensor) -> FirstLayer | None:
        """Run the backward pass from a sum over images of the output; `take` receives the rows of all weights.

        Args:
            total: The sum, a scalar.

        Returns:
            The first convolution if `batch_statistics` is set and norms follow it, else None.

        Raises:
            ScoreUndefined: The sum does not depend on any weight.
        """
        if not total.requires_grad:
            raise ScoreUndefined("the output does not depend on any weight")
        if self._batch_statistics and self._depends_on_batch:
            self._stop = 0 if self._calls <= FULL_PASS else round((1 - PARTIAL_PASS) * self._calls)
            self._back_batch([total], None)
        torch.autograd.backward(total, retain_graph=bool(self._first and self._first.norms))
        for weight in self._weights.values():
            if weight.rows is not None:
                self._complete(weight)
        first, self._first = self._first, None  # its graphs refer back to this object; a cycle would keep their memory
        return first if first and first.norms and first.weight.used else None

    def missing_part(self, first: FirstLayer, direction: Tensor) -> Tensor:
        """Compute the part of sum_n direction_n rows_n that flows through the statistics of the norms, (elements,).

        The elements of `direction` must sum to 0, because the mean of the rows already includes this part.
        """
        parts = [(x, norm.through_statistics(direction)) for x, norm in first.norms]
        sources = [(x, part) for x, part in parts if part is not None]
        self._stop, self._only, first.weight.total = 0, first.place, None
        self._back_batch([x for x, _ in sources], [part for _, part in sources])
        total = first.weight.total
        return torch.zeros_like(first.rows[0]) if total is None else total[0]

    def _back_batch(self, roots: list[Tensor], gradients: list[Tensor] | None) -> None:
        self._together = True
        torch.autograd.backward(roots, gradients, retain_graph=True)
        self._together = False

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for _, convolution in self._convolutions.values():
            convolution.choose_path()
        self._convolutions.clear()  # the outputs refer back to this object; a cycle would keep their memory

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if handler := self._handlers.get(func):
            result = handler(*args, **kwargs)
        else:
            result = func(*args, **out_of_place(kwargs))
            given = _tensors([*args, *kwargs.values()])
            if any(isinstance(a, nn.Parameter) for a in given) and next(_tensors([result]), None) is not None:
                name = getattr(func, "__name__", func)
                raise NotImplementedError(
                    f"per-image gradients of a layer that passes parameters to {name!r} are not known: "
                    "use method='exact'"
                )
        if func is not F.batch_norm and next(_tensors([result]), None) is not None:
            for tensor in _tensors([*args, *kwargs.values()]):
                if convolution := self._convolution_of(tensor):
                    convolution.used_elsewhere = True
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
        inputs, w, b = x.detach(), weight.detach(), _detach(bias)
        call = Convolution(inputs, Patches.of(w, stride, padding, dilation, groups), b, self._register_use(weight))
        if self._batch_statistics and self._first is None:
            call.sample = len(x)
            self._first = FirstLayer(self._calls, call, self._weights[id(weight)])
        z = self._attach(x, torch.conv2d(inputs, w, b, stride, padding, dilation, groups), call)
        self._convolutions[id(z)] = (z, call)
        return z

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        inputs, w = x.detach(), weight.detach()
        return self._attach(x, F.linear(inputs, w, _detach(bias)), Linear(inputs, w, self._register_use(weight)))

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
        if x.dim() != 4:
            maps = x.reshape(len(x), x.shape[1], -1, 1)
            y = self._batch_norm(maps, running_mean, running_var, weight, bias, training, momentum, eps)
            return y.reshape(x.shape)
        z, gamma, beta = x.detach(), _detach(weight), _detach(bias)
        if training:
            y, mean, inverse = torch.native_batch_norm(z, gamma, beta, None, None, True, 0.0, eps)
        else:
            assert running_mean is not None
            assert running_var is not None
            y = F.batch_norm(z, running_mean, running_var, gamma, beta, False, 0.0, eps)
            mean, inverse = running_mean, (running_var + eps).rsqrt()
        gamma = torch.ones_like(mean) if gamma is None else gamma
        corrects, convolution = training and self._batch_statistics, self._convolution_of(x)
        norm = Norm(z, mean, inverse, gamma, self._register_use(weight), corrects)
        if convolution is not None:
            convolution.norms.append(norm)
        first = self._first if corrects and x.requires_grad else None
        if first and convolution is not first.convolution and self._calls < first.place + NEAR:
            first.norms.append((x, norm))
        self._depends_on_batch |= training
        return self._attach(x, y, norm)

    def _attach(self, x: Tensor, y: Tensor, call: Convolution | Linear | Norm) -> Tensor:
        """Return `y` with a backward pass to `x` that is defined by the call."""
        place = self._calls
        self._calls += 1

        def back(dy: Tensor, needs_input: bool) -> Tensor | None:
            if not self._together:
                return call.back(dy, needs_input)
            return call.back_batch(dy, needs_input, self._only in (None, place)) if place >= self._stop else None

        output: Tensor = PrecomputedOutput.apply(x, x.new_empty(0).requires_grad_(), [y], back)  # type: ignore[no-untyped-call]
        return output

    def _convolution_of(self, z: object) -> Convolution | None:
        return self._convolutions[id(z)][1] if id(z) in self._convolutions else None

    def _register_use(self, parameter: Tensor | None) -> Callable[[Tensor], None]:
        """Register one more use of a parameter and return the callback that receives its gradients."""
        if parameter is None:
            return _ignore
        weight = self._weights.setdefault(id(parameter), _Weight())
        weight.uses += 1
        return partial(self._add, weight)

    def _add(self, weight: _Weight, rows: Tensor) -> None:
        """Add the rows of one use; the last use completes them."""
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
                self._mean_row.extrapolate(rows)
        if self._first is not None and self._first.weight is weight:
            self._first.rows = rows
        self._take(rows)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors among arguments or results, including those inside lists and tuples."""
    for value in values:
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, Tensor):
                yield one


def _detach(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()


def _ignore(rows: Tensor) -> None:
    """Discard the rows of a norm without parameters."""

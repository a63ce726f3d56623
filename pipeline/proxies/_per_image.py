"""Gradients per image, layer by layer, in one backward pass: without the (N, P) Jacobian."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pipeline.errors import ScoreUndefined
from pipeline.proxies._activations import out_of_place
from pipeline.proxies._patches import Pair, Patches

SAMPLE = 8  # images that estimate the two expectations of `PerImageGradients`: as good as all of 32


class _Given(torch.autograd.Function):
    """An output that was computed before, with a backward pass of choice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, ys: list[Tensor], back: Callable[[Tensor, bool], Any]) -> Tensor:
        ctx.back = back
        return ys[0]  # in a list, it is no input and may be changed in place

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, None, None, None]:
        return ctx.back(dy, ctx.needs_input_grad[0]), None, None, None


@dataclass(eq=False)
class _Norm:
    """A batch norm y = gamma zhat + beta, zhat = (z - mean) inverse, and what came back to it.

    Attributes:
        z: Its input (N, C, H, W).
        mean: Per channel.
        inverse: 1 / sqrt(variance + eps) per channel.
        gamma: Per channel.
        take_rows: Gets the gradient of gamma.
        corrects: Whether the convolution's rows get the derivative of this norm's statistics.
        convolution: The call that gave z.
        dy_sum: sum_s dy_ncs, (N, C); None until the backward pass has come here.
        dy_zhat_sum: sum_s dy_ncs zhat_ncs, (N, C).
    """

    z: Tensor
    mean: Tensor
    inverse: Tensor
    gamma: Tensor
    take_rows: Callable[[Tensor], None]
    corrects: bool
    convolution: "_Convolution | None"
    dy_sum: Tensor | None = None
    dy_zhat_sum: Tensor | None = None

    @property
    def scale(self) -> Tensor:
        return self.gamma * self.inverse

    def back(self, dy: Tensor) -> Tensor:
        """The gradient of z, every image for itself: the statistics are constants."""
        self.dy_sum = dy.sum((2, 3))
        if self.convolution is not None and self.convolution.has_one_norm:
            return dy  # it scales its own, smaller tensors instead, and knows sum_s dy_ncs z_ncs from its rows
        product = dy * self.z
        self.take(self.dy_sum, product.sum((2, 3)))
        return torch.mul(dy, self.scale[:, None, None], out=product)

    def take(self, dy_sum: Tensor, dy_z_sum: Tensor) -> None:
        """Takes sum_s dy_ncs and sum_s dy_ncs z_ncs, (N, C)."""
        self.dy_zhat_sum = (dy_z_sum - self.mean * dy_sum) * self.inverse
        self.take_rows(self.dy_zhat_sum.clone())

    def back_together(self, dy: Tensor) -> Tensor:
        """The gradient of z of the batch's sum: the statistics depend on z."""
        dz, dgamma, _ = torch.ops.aten.native_batch_norm_backward(
            dy, self.z, self.gamma, None, None, self.mean, self.inverse, True, 0.0, [True, True, False]
        )
        self.take_rows(dgamma[None])
        gradient: Tensor = dz
        return gradient


@dataclass(eq=False)
class _Convolution:
    """One call of a convolution z = W u + b.

    Attributes:
        x: Its input.
        patches: Its weight and geometry.
        bias: b.
        take_rows: Gets the gradient of W.
        norms: The batch norms that took z.
        goes_elsewhere: Whether something else than batch norms took z.
    """

    x: Tensor
    patches: Patches
    bias: Tensor | None
    take_rows: Callable[[Tensor], None]
    norms: list[_Norm] = field(default_factory=list)
    goes_elsewhere: bool = False

    @property
    def has_one_norm(self) -> bool:
        """Whether a batch norm takes z and nothing else does."""
        return len(self.norms) == 1 and not self.goes_elsewhere

    def back(self, dz: Tensor, goes_on: bool) -> Tensor | None:
        """The gradient of x, if the backward pass goes on, every image for itself.

        Where `has_one_norm`, `dz` is the gradient of the norm's output.
        """
        rows, patches = self.patches.per_image(self.x, dz), self.patches
        if self.has_one_norm:
            (norm,) = self.norms
            dy_sum = norm.dy_sum
            assert dy_sum is not None
            dy_z_sum = torch.bmm(rows.transpose(0, 1), patches.rows_of(patches.weight)[:, :, None])[:, :, 0].T
            norm.take(dy_sum, dy_z_sum if self.bias is None else dy_z_sum + self.bias * dy_sum)
            rows *= norm.scale[:, None]
            patches = patches.scaled(norm.scale)
        for norm in self.norms:
            if norm.corrects:
                self._correct(rows, norm)
        self.take_rows(rows)
        return patches.input_gradient(self.x, dz) if goes_on else None

    def back_together(self, dz: Tensor, goes_on: bool) -> Tensor | None:
        """The gradient of x of the batch's sum."""
        self.take_rows(self.patches.summed(self.x, dz)[None])
        return self.patches.input_gradient(self.x, dz) if goes_on else None

    def _correct(self, rows: Tensor, norm: _Norm) -> None:
        """Takes from the rows the two directions that the batch's mean and variance cancel."""
        if norm.dy_sum is None or norm.dy_zhat_sum is None:
            return
        x, z = self.x[:SAMPLE], norm.z[:SAMPLE]
        count = z.numel() // z.shape[1]
        mean_u = self.patches.total(x) / count
        mean_zu = self.patches.summed(x, z) / count
        mean_zhat_u = (mean_zu - z.mean((0, 2, 3))[:, None] * mean_u) * norm.inverse[:, None]
        for sums, direction in ((norm.dy_sum, mean_u), (norm.dy_zhat_sum, mean_zhat_u)):
            rows.addcmul_((sums * norm.scale)[:, :, None], direction, value=-1)


class PerImageGradients(TorchFunctionMode):
    """Runs a network so that `backward` of a sum over images yields every image's own gradient.

    For each weight of a convolution, linear layer or batch norm `take` gets the rows (N, elements): row i the gradient
    of image i's term. Batch norms use fixed statistics: in train mode the batch's, in eval mode the running ones.

    With `batch_statistics` the rows get most of what the derivative of the batch's statistics adds in train mode:

    * The part that stays within a layer. For a convolution z = W u before a batch norm, s the positions of image i,
      row_c = gamma_c / sigma_c (sum_s dy_cs u_s - (sum_s dy_cs) E[u] - (sum_s dy_cs zhat_cs) E[zhat_c u]), E the mean
      over positions and over some images of the batch.
    * The mean over the rows is exact, from a second backward pass, of the batch: the network's mean output hardly
      depends on the weights, since batch norms fix the features' mean, which no image sees for itself.

    Without batch norms in train mode everything is exact.
    """

    def __init__(self, take: Callable[[Tensor], None], *, batch_statistics: bool = False) -> None:
        super().__init__()
        self._take = take
        self._batch_statistics = batch_statistics
        self._together = False
        self._depends_on_batch = False
        self._convolutions: dict[int, tuple[Tensor, _Convolution]] = {}  # by the id of their output, which must live
        self._uses: Counter[int] = Counter()
        self._rows: dict[int, Tensor] = {}
        self._totals: dict[int, Tensor] = {}
        self._handlers: dict[Callable[..., Any], Callable[..., Tensor]] = {
            torch.conv2d: self._convolution,
            F.linear: self._linear,
            F.batch_norm: self._batch_norm,
        }

    def backward(self, total: Tensor) -> None:
        """Goes back from the sum over images of the network's output; `take` gets the rows of all weights.

        Raises:
            ScoreUndefined: The sum does not depend on any weight.
        """
        if not total.requires_grad:
            raise ScoreUndefined("the output does not depend on any weight")
        if self._batch_statistics and self._depends_on_batch:
            self._together = True
            torch.autograd.backward(total, retain_graph=True)
            self._together = False
        torch.autograd.backward(total)
        for key in list(self._rows):
            self._complete(key)

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
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
        if func is not F.batch_norm:
            self._note(args, kwargs, result)
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
        patches = Patches.of(w, stride, padding, dilation, groups)
        call = _Convolution(inputs, patches, b, partial(self._add, self._opened(weight)))
        back = lambda dz, goes_on: (call.back_together if self._together else call.back)(dz, goes_on)  # noqa: E731
        z = self._given(x, torch.conv2d(inputs, w, b, stride, padding, dilation, groups), back)
        self._convolutions[id(z)] = (z, call)
        return z

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        inputs = x.detach().reshape(len(x), -1, x.shape[-1])
        y = F.linear(x, weight.detach(), _detached(bias))

        def rows(dy: Tensor) -> Tensor:
            gradients = dy.reshape(len(dy), -1, dy.shape[-1]).mT @ inputs
            return gradients.sum(0, keepdim=True) if self._together else gradients

        return self._watched(y, weight, rows)

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
        take_rows = _ignore if weight is None else partial(self._add, self._opened(weight))
        convolution = self._convolution_of(x)
        norm = _Norm(
            z,
            mean,
            inverse,
            torch.ones_like(mean) if gamma is None else gamma,
            take_rows,
            training and self._batch_statistics,
            convolution,
        )
        if convolution is not None:
            convolution.norms.append(norm)
        self._depends_on_batch |= training
        return self._given(x, y, lambda dy, _: norm.back_together(dy) if self._together else norm.back(dy))

    def _given(self, x: Tensor, y: Tensor, back: Callable[[Tensor, bool], Tensor | None]) -> Tensor:
        """`y`, from which the backward pass goes on to `x` as told."""
        given: Tensor = _Given.apply(x, x.new_empty(0).requires_grad_(), [y], back)  # type: ignore[no-untyped-call]
        return given

    def _convolution_of(self, z: object) -> _Convolution | None:
        return self._convolutions[id(z)][1] if id(z) in self._convolutions else None

    def _note(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Notes which convolutions' outputs went into something else than a batch norm, and not only a question."""
        if next(_tensors([result]), None) is not None:
            for tensor in _tensors([*args, *kwargs.values()]):
                if convolution := self._convolution_of(tensor):
                    convolution.goes_elsewhere = True

    def _opened(self, weight: Tensor) -> int:
        self._uses[id(weight)] += 1
        return id(weight)

    def _watched(self, y: Tensor, weight: Tensor, rows: Callable[[Tensor], Tensor]) -> Tensor:
        """`y`, whose gradient will become rows for this weight."""
        if not y.requires_grad:
            y.requires_grad_()
        key = self._opened(weight)
        y.register_hook(lambda dy: self._add(key, rows(dy)))  # type: ignore[no-untyped-call]
        return y

    def _add(self, key: int, rows: Tensor) -> None:
        """Adds the rows of one use of a weight; with the last one they are complete."""
        sums = self._totals if self._together else self._rows
        rows = rows.flatten(1)
        sums[key] = sums[key] + rows if key in sums else rows
        if not self._together:
            self._uses[key] -= 1
            if not self._uses[key]:
                self._complete(key)

    def _complete(self, key: int) -> None:
        rows = self._rows.pop(key)
        if key in self._totals:
            rows += (self._totals.pop(key) - rows.sum(0)) / len(rows)
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

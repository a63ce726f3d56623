"""Layers and blocks shared by several search spaces."""

from torch import Tensor, nn

from zenfront.spaces._layers import BatchNorm2d, Conv2d
from zenfront.spaces._network import Auxiliary
from zenfront.spaces._outline import outlined


def conv_bn(w_in: int, w_out: int, k: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Build a k x k convolution with "same" padding and no bias, followed by batch normalisation."""
    return [
        Conv2d(w_in, w_out, k, stride, k // 2, groups=groups, bias=False),
        BatchNorm2d(w_out),
    ]


def conv_bn_relu(w_in: int, w_out: int, k: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Build a `conv_bn` followed by a ReLU."""
    return [*conv_bn(w_in, w_out, k, stride, groups), nn.ReLU()]


class Residual(Auxiliary):
    """Residual connection branch(x) + shortcut(x).

    Attributes:
        inplace: Whether the sum overwrites branch(x). The branch must allocate its output and must not keep it for the
            backward pass.
        factor: Factors (N, 1, 1, 1) of branch(x) for stochastic depth, which a training sets for a mini-batch.
    """

    inplace = False
    factor: Tensor | None = None

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the common output shape of branch and shortcut."""
        y: Tensor = self.branch(x)
        if not self.active:
            return y
        if self.factor is not None:
            y = y * self.factor.to(y.dtype)
        return y.add_(self.shortcut(x)) if self.inplace else y + self.shortcut(x)


def shortcut(w_in: int, w_out: int, stride: int) -> nn.Module:
    """Build the identity, or a 1 x 1 projection with BN if the shape changes."""
    return nn.Identity() if w_in == w_out and stride == 1 else nn.Sequential(*conv_bn(w_in, w_out, 1, stride))


class SqueezeExcitation(Auxiliary):
    """Squeeze-and-excitation x * sigmoid(W_2 relu(W_1 mean(x))), which weights channels by their content.

    W_1 and W_2 have biases; with `norm` they are each followed by a BN instead.

    Source: Hu et al., CVPR 2018.
    """

    def __init__(self, w: int, w_squeezed: int, norm: bool = False) -> None:
        super().__init__()
        first = conv_bn(w, w_squeezed, 1) if norm else [Conv2d(w, w_squeezed, 1)]
        second = conv_bn(w_squeezed, w, 1) if norm else [Conv2d(w_squeezed, w, 1)]
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), *first, nn.ReLU(), *second, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, w, H, W) to the same shape."""
        return x * self.excite(x) if self.active else x


@outlined
def classifier(w_in: int, classes: int) -> nn.Module:
    """Build a classifier (N, w_in, H, W) -> (N, classes): global average pooling and a linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(w_in, classes))

"""Layers and blocks that the search spaces share."""

from torch import Tensor, nn

from zenfront.spaces._layers import BatchNorm2d, Conv2d
from zenfront.spaces._network import Auxiliary


def conv_bn(w_in: int, w_out: int, k: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A k x k convolution with "same" padding and no bias, then batch normalisation."""
    return [
        Conv2d(w_in, w_out, k, stride, k // 2, groups=groups, bias=False),
        BatchNorm2d(w_out),
    ]


def conv_bn_relu(w_in: int, w_out: int, k: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """`conv_bn` and a ReLU."""
    return [*conv_bn(w_in, w_out, k, stride, groups), nn.ReLU()]


class Residual(Auxiliary):
    """branch(x) + shortcut(x).

    Attributes:
        inplace: The sum overwrites branch(x), which must be the branch's own and not kept for its backward pass.
    """

    inplace = False

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the shape that both give."""
        y: Tensor = self.branch(x)
        if not self.active:
            return y
        return y.add_(self.shortcut(x)) if self.inplace else y + self.shortcut(x)


def shortcut(w_in: int, w_out: int, stride: int) -> nn.Module:
    """The identity, or a 1 x 1 projection with BN where the shape changes."""
    return nn.Identity() if w_in == w_out and stride == 1 else nn.Sequential(*conv_bn(w_in, w_out, 1, stride))


class SqueezeExcitation(Auxiliary):
    """x * sigmoid(W_2 relu(W_1 mean(x))): channels weighted by what they hold (Hu et al., CVPR 2018).

    W_1 and W_2 have biases, or with `norm` a BN after each instead.
    """

    def __init__(self, w: int, w_squeezed: int, norm: bool = False) -> None:
        super().__init__()
        first = conv_bn(w, w_squeezed, 1) if norm else [Conv2d(w, w_squeezed, 1)]
        second = conv_bn(w_squeezed, w, 1) if norm else [Conv2d(w_squeezed, w, 1)]
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), *first, nn.ReLU(), *second, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, w, H, W) to the same shape."""
        return x * self.excite(x) if self.active else x


def classifier(w_in: int, classes: int) -> nn.Sequential:
    """Global average pooling and a linear layer: (N, w_in, H, W) -> (N, classes)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(w_in, classes))

"""Layers and blocks that the search spaces share."""

from torch import Tensor, nn

from spaces._network import Auxiliary


def conv_bn(w_in: int, w_out: int, k: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A k x k convolution with "same" padding and no bias, then batch normalisation."""
    return [
        nn.Conv2d(w_in, w_out, k, stride, k // 2, groups=groups, bias=False),
        nn.BatchNorm2d(w_out),
    ]


def conv_bn_relu(w_in: int, w_out: int, k: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """`conv_bn` and a ReLU."""
    return [*conv_bn(w_in, w_out, k, stride, groups), nn.ReLU()]


class Residual(Auxiliary):
    """relu(branch(x) + shortcut(x)): a 1 x 1 projection where the shape changes, else the identity."""

    def __init__(self, branch: nn.Module, w_in: int, w_out: int, stride: int) -> None:
        super().__init__()
        self.branch = branch
        same = w_in == w_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv_bn(w_in, w_out, 1, stride))
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, w_in, H, W) to (N, w_out, ceil(H / stride), ceil(W / stride))."""
        y = self.branch(x)
        return self.act(y + self.shortcut(x) if self.active else y)  # type: ignore[no-any-return]


class SqueezeExcitation(Auxiliary):
    """x * sigmoid(W_2 relu(W_1 mean(x))): channels weighted by what they hold (Hu et al., CVPR 2018)."""

    def __init__(self, w: int, w_squeezed: int) -> None:
        super().__init__()
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(w, w_squeezed, 1), nn.ReLU(), nn.Conv2d(w_squeezed, w, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, w, H, W) to the same shape."""
        return x * self.excite(x) if self.active else x


def classifier(w_in: int, classes: int) -> nn.Sequential:
    """Global average pooling and a linear layer: (N, w_in, H, W) -> (N, classes)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(w_in, classes))

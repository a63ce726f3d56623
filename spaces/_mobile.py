"""The inverted bottleneck of MobileNetV2 (Sandler et al., CVPR 2018)."""

from torch import nn

from zenfront.spaces._blocks import Residual, conv_bn, conv_bn_relu
from zenfront.spaces._outline import outlined


@outlined
def inverted_bottleneck(w_in: int, w_out: int, k: int, expansion: int, stride: int) -> nn.Module:
    """Build an inverted bottleneck.

    It consists of a 1 x 1 convolution to expansion * w_in channels (unless the expansion is 1), a depthwise k x k
    convolution and a 1 x 1 convolution without ReLU, with an identity shortcut if the shape does not change.
    """
    inner = expansion * w_in
    branch = nn.Sequential(
        *(conv_bn_relu(w_in, inner, 1) if expansion > 1 else []),
        *conv_bn_relu(inner, inner, k, stride, inner),
        *conv_bn(inner, w_out, 1),
    )
    return Residual(branch, nn.Identity()) if w_in == w_out and stride == 1 else branch

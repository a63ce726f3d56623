"""The inverted bottleneck of MobileNetV2 (Sandler et al., CVPR 2018)."""

from torch import nn

from zenfront.spaces._blocks import Residual, conv_bn, conv_bn_relu


def inverted_bottleneck(w_in: int, w_out: int, k: int, expansion: int, stride: int) -> nn.Module:
    """1 x 1 to expansion * w_in channels (not for 1), depthwise k x k, 1 x 1 without ReLU; identity where it fits."""
    inner = expansion * w_in
    branch = nn.Sequential(
        *(conv_bn_relu(w_in, inner, 1) if expansion > 1 else []),
        *conv_bn_relu(inner, inner, k, stride, inner),
        *conv_bn(inner, w_out, 1),
    )
    return Residual(branch, nn.Identity()) if w_in == w_out and stride == 1 else branch

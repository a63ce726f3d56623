"""ResNeXt-A: bottleneck blocks with few groups; depth, width, bottleneck ratio and number of groups per stage."""

from zenfront.spaces._anynet import bottleneck
from zenfront.spaces._nds import nds_space

SPACE = nds_space(
    "resnext_a",
    bottleneck,
    depths=(1, 2, 4, 8, 16),
    widths=(16, 32, 64, 128, 256),
    ratios=(1, 2, 4),
    groups=(1, 2, 4),
)

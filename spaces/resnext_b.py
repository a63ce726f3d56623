"""ResNeXt-B: wider than ResNeXt-A, with up to 16 groups."""

from zenfront.spaces._anynet import bottleneck
from zenfront.spaces._nds import nds_space

SPACE = nds_space(
    "resnext_b",
    bottleneck,
    depths=(1, 2, 4, 8, 16),
    widths=(64, 128, 256, 512, 1024),
    ratios=(1, 2, 4),
    groups=(1, 2, 4, 8, 16),
)

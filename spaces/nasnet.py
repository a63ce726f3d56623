"""NASNet: five nodes per cell, thirteen operations; a cell concatenates the nodes that no other node reads."""

from zenfront.spaces._genotype import loose_ends
from zenfront.spaces._nds_cells import cell_space

SPACE = cell_space(
    "nasnet",
    (
        "skip_connect",
        "conv_3x1_1x3",
        "conv_7x1_1x7",
        "dil_conv_3x3",
        "avg_pool_3x3",
        "max_pool_3x3",
        "max_pool_5x5",
        "max_pool_7x7",
        "conv_1x1",
        "conv_3x3",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
    ),
    nodes=5,
    concat=loose_ends,
    source="Zoph et al., CVPR 2018, arXiv:1707.07012; as stacked in arXiv:1905.13214",
)

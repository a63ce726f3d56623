"""AmoebaNet: five nodes per cell, eight operations; a cell concatenates the nodes that no other node reads."""

from zenfront.spaces._genotype import loose_ends
from zenfront.spaces._nds_cells import cell_space

SPACE = cell_space(
    "amoeba",
    (
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
        "avg_pool_3x3",
        "max_pool_3x3",
        "dil_sep_conv_3x3",
        "conv_7x1_1x7",
    ),
    nodes=5,
    concat=loose_ends,
    source="Real et al., AAAI 2019, arXiv:1802.01548; as stacked in arXiv:1905.13214",
)

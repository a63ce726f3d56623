"""PNAS: five nodes per cell, eight operations; a cell concatenates all nodes."""

from zenfront.spaces._nds_cells import all_nodes, cell_space

SPACE = cell_space(
    "pnas",
    (
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
        "conv_7x1_1x7",
        "skip_connect",
        "avg_pool_3x3",
        "max_pool_3x3",
        "dil_conv_3x3",
    ),
    nodes=5,
    concat=all_nodes,
    source="Liu et al., ECCV 2018, arXiv:1712.00559; as stacked in arXiv:1905.13214",
)

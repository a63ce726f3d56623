"""DARTS: four nodes per cell, eight operations; a cell concatenates all nodes."""

from zenfront.spaces._nds_cells import all_nodes, cell_space

SPACE = cell_space(
    "darts",
    (
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ),
    nodes=4,
    concat=all_nodes,
    source="Liu et al., DARTS, ICLR 2019, arXiv:1806.09055; as stacked in arXiv:1905.13214",
)

"""ENAS: five nodes per cell, five operations; a cell concatenates the nodes that no other node reads."""

from zenfront.spaces._genotype import loose_ends
from zenfront.spaces._nds_cells import cell_space

SPACE = cell_space(
    "enas",
    ("skip_connect", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3"),
    nodes=5,
    concat=loose_ends,
    source="Pham et al., ICML 2018, arXiv:1802.03268; as stacked in arXiv:1905.13214",
)

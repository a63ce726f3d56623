"""ResNets of basic blocks (two 3 x 3 convolutions with a shortcut), with a depth and a width per stage."""

from zenfront.spaces._anynet import basic
from zenfront.spaces._nds import nds_space

SPACE = nds_space("resnet", basic)

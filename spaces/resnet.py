"""ResNets of basic blocks: two 3 x 3 convolutions and a shortcut; depth and width per stage."""

from zenfront.spaces._anynet import basic
from zenfront.spaces._nds import nds_space

SPACE = nds_space("resnet", basic)

"""ResNets without their shortcuts: two 3 x 3 convolutions, BN and ReLU; depth and width per stage."""

from zenfront.spaces._anynet import vanilla
from zenfront.spaces._nds import nds_space

SPACE = nds_space("vanilla", vanilla)

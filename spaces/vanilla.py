"""ResNets without shortcuts (two 3 x 3 convolutions, each with BN and ReLU), with a depth and a width per stage."""

from zenfront.spaces._anynet import vanilla
from zenfront.spaces._nds import nds_space

SPACE = nds_space("vanilla", vanilla)

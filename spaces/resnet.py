"""ResNets of basic blocks (two 3 x 3 convolutions with a shortcut), with a depth and a width per stage.

ResNet-20, 32, 44, 56 and 110 for CIFAR have 3, 5, 7, 9 and 18 blocks per stage (He et al., CVPR 2016, sec. 4.2); those
depths that the design space lacks are accepted, but no search draws them.
"""

from zenfront.spaces._anynet import basic
from zenfront.spaces._nds import nds_space

SPACE = nds_space("resnet", basic, published=(5, 7, 9, 18))

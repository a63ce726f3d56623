"""Published training recipes, by name."""

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["zennas_cifar", "pycls_cifar", "pycls_regnet", "timm_a3"]
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "zennas_cifar": {
        "batch_size": 64,
        "learning_rate": 0.025,
        "weight_decay": 5e-4,
        "warmup_epochs": 5,
        "label_smoothing": 0.1,
        "flip": True,
        "crop_padding": 4,
        "auto_augment": "cifar10",
        "mixup": 0.2,
        "random_erasing": 0.5,
    },
    "pycls_cifar": {
        "batch_size": 128,
        "learning_rate": 0.1,
        "weight_decay": 5e-4,
        "warmup_epochs": 0,
        "flip": True,
        "crop_padding": 4,
    },
    "pycls_regnet": {
        "batch_size": 128,
        "learning_rate": 0.1,
        "weight_decay": 5e-5,
        "warmup_epochs": 5,
        "flip": True,
        "colour_noise": 0.1,
    },
    "timm_a3": {
        "batch_size": 2048,
        "optimizer": "lamb",
        "learning_rate": 0.008,
        "weight_decay": 0.02,
        "warmup_epochs": 5,
        "clip_norm": 1.0,
        "loss": "binary_cross_entropy",
        "target_threshold": 0.2,
        "flip": True,
        "rand_augment": {"operations": 2, "magnitude": 6.0, "noise": 0.5, "form": "timm"},
        "mixup": 0.1,
        "cutmix": 1.0,
    },
}
"""Published recipes.

* zennas_cifar: idstcv/ZenNAS, scripts/Zen_NAS_cifar_params1M.sh (1,440 epochs), without its
  momentum of batch normalisation of 0.01.
* pycls_cifar: facebookresearch/pycls, configs/archive/cifar/anynet/R-56_nds_1gpu.yaml (200 epochs).
* pycls_regnet: facebookresearch/pycls, configs/dds_baselines/regnet/RegNetY-600MF_dds_1gpu.yaml (100 epochs);
  its random crops are `train.data.resize.random`.
* timm_a3: Wightman et al., 2021, arXiv:2110.00476, table 2, procedure A3 (100 epochs); `clip_norm` is the default of
  timm's LAMB. Its random crops are `train.data.resize.random`; training at 160 and testing at 224 pixels is left out.
"""

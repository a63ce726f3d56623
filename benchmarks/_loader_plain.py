"""The loading and the training loop that one writes by hand in PyTorch, to compare with."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.training.data import ImageSet
from zenfront.spaces import Network, initialise


class PlainFiles(Dataset[tuple[Tensor, int]]):
    """JPEG files, cut at random and resized to 224 x 224 as in torchvision's `RandomResizedCrop`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self._paths[index]) as file:
            image = file.convert("RGB")
        resized = image.resize((224, 224), Image.Resampling.BILINEAR, box=_box(*image.size))
        return torch.from_numpy(np.asarray(resized).transpose(2, 0, 1).copy()), index % 2


def _box(width: int, height: int) -> tuple[int, int, int, int]:
    for _ in range(10):
        area = width * height * torch.empty(1).uniform_(0.08, 1).item()
        ratio = math.exp(torch.empty(1).uniform_(math.log(3 / 4), math.log(4 / 3)).item())
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left = int(torch.randint(0, width - w + 1, (1,)).item())
            top = int(torch.randint(0, height - h + 1, (1,)).item())
            return left, top, left + w, top + h
    return 0, 0, width, height


def plain_epoch(network: Network, part: ImageSet, recipe: Recipe) -> int:
    """Train an epoch on tensors with crops and flips; return the number of images."""
    initialise(network, torch.Generator().manual_seed(0), "kaiming", torch.device("cpu"))
    mean, std = (torch.full((3, 1, 1), value) for value in (127.0, 64.0))
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    steps = len(part) // recipe.batch_size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loss_of = nn.CrossEntropyLoss()
    network.train()
    for rows in torch.randperm(len(part))[: steps * recipe.batch_size].split(recipe.batch_size):  # type: ignore[no-untyped-call]
        x = (part.images[rows] - mean) / std
        padded = F.pad(x, (4, 4, 4, 4))
        top, left = torch.randint(0, 9, (2, len(rows))).tolist()
        x = torch.stack([image[:, t : t + 32, s : s + 32] for image, t, s in zip(padded, top, left, strict=True)])
        x = torch.where((torch.rand(len(rows)) < 0.5)[:, None, None, None], x.flip(3), x)
        loss = loss_of(network(x), part.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return len(part)

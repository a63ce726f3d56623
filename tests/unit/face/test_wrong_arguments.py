"""An argument of another type than `zf.score` takes is one message, not an error from the inside."""

from typing import Any

import pytest
import torch
from torch import nn

import zenfront as zf
from zenfront.pipeline.errors import UserError

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": IMAGES.numpy()}, "images= must be a torch.Tensor, but is a ndarray"),
        ({"labels": [0, 1, 0, 1]}, "labels= must be a torch.Tensor, but is a list"),
        ({"task": (3, 8, 8)}, "task= must be .channels, height, width, classes., four whole numbers"),
        ({"task": "3,8,8,2"}, "four whole numbers, but got '3,8,8,2'"),
        ({"task": (3, 8.5, 8, 2)}, "four whole numbers"),
        ({"names": None}, "the scores must be a name or a list of names, but got None"),
        ({"names": [3]}, "a list of names, but got .3."),
        ({"options": {"zen": 3}}, "options= must map scores to options"),
        ({"options": ["zen"]}, "options= must map scores to options"),
        ({"repeats": 2.5}, "repeats= must be a whole number of at least 1, but got 2.5"),
        ({"repeats": "2"}, "repeats= must be a whole number"),
    ],
)
def test_it_is_one_message(changed: dict[str, Any], message: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    arguments: dict[str, Any] = {"names": ["params"], "images": IMAGES} | changed
    with pytest.raises(UserError, match=message):
        zf.score(network, arguments.pop("names"), **arguments)

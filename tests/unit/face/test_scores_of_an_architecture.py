"""An architecture of a space has from Python the scores that the command line and a search take."""

from typing import Any

import pytest
import torch

import zenfront as zf
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.scoring import Scoring
from zenfront.spaces import Task

TASK = (3, 8, 8, 5)
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|"


def test_an_architecture_has_the_scores_of_a_search(given: Any) -> None:
    names = ["zen", "ntk", "flops"]
    space = zf.spaces.load("nasbench201")
    architecture = space.architecture(space.parse(CELL))
    scoring = Scoring(space, Task(*TASK), names, Batch(given.images, given.labels), seed=3, repeats=2)
    expected = scoring.score(architecture)
    found = zf.score("nasbench201", CELL, names, images=given.images, labels=given.labels, task=TASK, seed=3, repeats=2)
    assert found.values == expected.values
    assert found.errors == expected.errors
    assert found.notes == ()
    again = zf.score("nasbench201", architecture, names, images=given.images, labels=given.labels, task=Task(*TASK))
    assert again["flops"] == expected.values["flops"]


def test_options_reach_the_proxy() -> None:
    mode = {"zen": {"mode": "reference"}}
    one, other = (zf.score("nasbench201", CELL, "zen", task=TASK, options=options) for options in ({}, mode))
    assert one["zen"] != other["zen"]


def test_noise_has_no_scores_that_need_images_or_labels() -> None:
    found = zf.score("nasbench201", CELL, ["meco", "ntk", "params"], task=TASK)
    assert set(found) == {"meco", "params"}
    assert found.undefined == {"ntk": "ntk: needs real images, and noise says nothing; pass images="}
    assert found.notes == ("images: 32 of standard normal noise",)
    assert set(zf.score("nasbench201", CELL, "ntk", task=TASK).undefined) == {"ntk"}


def test_one_undefined_score_leaves_the_others(given: Any) -> None:
    same = given.images[:1].expand(16, -1, -1, -1)
    found = zf.score("nasbench201", CELL, ["naswot", "flops"], images=same, task=TASK)
    assert "flops" in found
    assert "two images" in found.undefined["naswot"]
    alone = zf.score("nasbench201", CELL, "naswot", images=same, task=TASK)
    assert alone.undefined == found.undefined


def test_what_cannot_be_built_says_why() -> None:
    space = zf.spaces.load("anynet3")
    text = "d1=1,w1=16,b1=2,g1=4,d2=2,w2=16,b2=1,g2=8,d3=1,w3=24,b3=2,g3=1"
    found = zf.score("anynet3", space.architecture(space.parse(text)), ["flops", "zen"], task=(3, 2, 2, 5))
    assert not found.values
    assert set(found.undefined) == {"flops", "zen"}
    assert "resolution" in found.undefined["flops"]


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("nasbench202", CELL, ["zen"]), {"task": TASK}, "no search space named 'nasbench202'"),
        (("nasbench201", "|conv~0|", ["zen"]), {"task": TASK}, r"\|conv~0\|"),
        (("nasbench201", CELL, ["zen"]), {}, r"needs task=\(channels, height, width, classes\)"),
        (("nasbench201", CELL, ["zen"]), {"task": (3, 8, 8, 1)}, "`classes` of a task must be at least 2, but got 1"),
        (("nasbench201", CELL, ["zen"]), {"task": TASK, "features": "stem"}, "go with a module"),
        (("nasbench201", CELL, ["zen"]), {"task": TASK, "repeats": 0}, "whole number of at least 1, but got 0"),
        (("nasbench201", CELL), {"task": TASK}, r"takes \(module, names\) or \(space, architecture, names\)"),
        (("nasbench201", CELL, ["snip"]), {"task": TASK, "labels": torch.zeros(2)}, "labels= goes with images="),
    ],
)
def test_a_mistake_is_told(arguments: Any, settings: Any, message: str) -> None:
    with pytest.raises(zf.UserError, match=message):
        zf.score(*arguments, **settings)


def test_an_architecture_of_another_space_is_a_mistake() -> None:
    space = zf.spaces.load("nasbench201")
    with pytest.raises(zf.UserError, match="of space 'nasbench201', not of 'anynet3'"):
        zf.score("anynet3", space.architecture(space.parse(CELL)), ["zen"], task=TASK)


def test_the_result_shows_itself(given: Any) -> None:
    found = zf.score("nasbench201", CELL, ["flops", "ntk", "zen"], task=TASK, repeats=2)
    lines = repr(found).splitlines()
    assert lines[0].split() == ["flops", f"{found['flops']:.6g}", "multiply-adds"]
    assert lines[1].split(maxsplit=2) == ["ntk", "undefined", found.undefined["ntk"].removeprefix("ntk: ")]
    assert lines[2].split() == ["zen", f"{found['zen']:.6g}", "±", f"{found.errors['zen']:.2g}", "nats"]
    assert lines[3:] == ["note: images: 32 of standard normal noise"]


def test_the_result_is_a_mapping_of_what_is_defined() -> None:
    found = zf.score("nasbench201", CELL, ["flops", "ntk"], task=TASK)
    assert dict(found) == {"flops": found["flops"]}
    assert (len(found), list(found), "ntk" in found) == (1, ["flops"], False)
    with pytest.raises(KeyError, match="undefined: ntk: needs real images"):
        found["ntk"]
    with pytest.raises(KeyError, match="zico was not asked for"):
        found["zico"]

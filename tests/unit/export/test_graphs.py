"""ONNX and torch.export files compute what the network computes, and say what they take."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.graph.onnx_file import export_onnx
from zenfront.pipeline.export.graph.pt2_file import export_pt2
from zenfront.pipeline.export.subject import Preprocessing, Subject, fresh_subject
from zenfront.pipeline.formats import onnxruntime
from zenfront.spaces import Task

MEAN, STD = (120.0, 100.0, 80.0), (60.0, 50.0, 70.0)


def subject_of(*layers: nn.Module) -> Subject:
    """Return layers and a classifier, in place of the network of an architecture."""
    space, task = spaces.load("vanilla"), Task(3, 8, 8, 4)
    architecture = space.architecture(space.parse("d1=1,w1=16,d2=1,w2=16,d3=1,w3=16"))
    with torch.random.fork_rng():
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
        network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), *layers, head).eval()
    return replace(
        fresh_subject(space, architecture, task),
        network=network,
        classes=("ant", "bee", "cat", "dog"),
        preprocessing=Preprocessing(3, 8, 8, MEAN, STD),
    )


@pytest.fixture(scope="module")
def subject() -> Subject:
    made = subject_of()
    generator = torch.Generator().manual_seed(0)
    for weights in made.network.parameters():
        weights.data.normal_(generator=generator)
    return made


def pixels(count: int) -> Tensor:
    return torch.randint(256, (count, 3, 8, 8), generator=torch.Generator().manual_seed(count)).float()


def expected(subject: Subject, images: Tensor) -> np.ndarray:
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, STD))
    with torch.inference_mode():
        return np.asarray(subject.network((images - mean) / std))


def test_an_onnx_file_takes_pixels_in_batches_of_any_size(
    subject: Subject, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    assert export_onnx(subject, path, takes_pixels=True) <= 1e-5
    assert capfd.readouterr() == ("", "")
    session = onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 2, 5):
        [logits] = session.run(["logits"], {"images": pixels(count).numpy()})
        np.testing.assert_allclose(logits, expected(subject, pixels(count)), rtol=1e-4, atol=1e-4)
    stated = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert stated["classes"] == ["ant", "bee", "cat", "dog"]
    assert stated["input"] == "pixel values 0 .. 255"
    assert stated["preprocessor"]["image_mean"] == list(MEAN)
    assert stated["genes"] == subject.architecture.mapping
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]  # no weights beside it


def test_a_pt2_file_takes_normalised_images_in_batches_of_any_size(
    subject: Subject, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.pt2"
    assert export_pt2(subject, path) == 0
    assert capfd.readouterr() == ("", "")
    inside = {"zenfront.json": ""}
    module = torch.export.load(path, extra_files=inside).module()
    for count in (1, 2, 5):
        images = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(count))
        assert torch.equal(module(images), subject.network(images))
    assert json.loads(inside["zenfront.json"])["input"] == "normalised images"


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + torch.linalg.eigvalsh(x @ x.mT).sum())


class Choice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.global_rng
def test_a_file_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the ONNX file does not compute .* differ by .* at most 0.0001"):
        export_onnx(subject_of(Noise()), tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"the .pt2 file does not compute"):
        export_pt2(subject_of(Noise()), tmp_path / "model.pt2")


def test_an_operator_that_onnx_lacks_is_named_with_its_module(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"no operator for aten\.\w*eigh?\w*, which 2 \(Spectrum\) calls"):
        export_onnx(subject_of(Spectrum()), tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")


def test_a_network_that_looks_at_the_values_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"torch\.export cannot trace the network"):
        export_pt2(subject_of(Choice()), tmp_path / "model.pt2")
    with pytest.raises(UserError, match="cannot be expressed in ONNX"):
        export_onnx(subject_of(Choice()), tmp_path / "model.onnx")


def test_a_missing_package_is_named_with_the_extra(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime.*pip install 'zenfront\[onnx\]'"):
        export_onnx(subject, tmp_path / "model.onnx")


def test_an_unknown_normalisation_is_not_put_into_the_graph(subject: Subject, tmp_path: Path) -> None:
    unknown = replace(subject, preprocessing=Preprocessing(3, 8, 8))
    with pytest.raises(UserError, match="--normalise: mean and deviation of the images are unknown"):
        export_onnx(unknown, tmp_path / "model.onnx", takes_pixels=True)

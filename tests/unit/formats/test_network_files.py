"""Files of ONNX and torch.export compute what the network computes, for any number of images."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.formats import onnxruntime, write_onnx, write_pt2
from zenfront.pipeline.seeds import torch_generator
from zenfront.spaces import Network, initialise


@pytest.fixture
def network() -> Network:
    """A network whose batch norm has statistics of its own, so that train mode gives other numbers."""
    with torch.device("meta"):
        features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        network = Network(features, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)))
    initialise(network, torch_generator(0, "weights"))
    features[1].running_mean = torch.linspace(-1, 1, 4)
    return network


def _images(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch_generator(0, "images"))


def _expected(network: Network, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network.eval()(images)  # type: ignore[no-any-return]


@pytest.mark.parametrize("images", [1, 3])
def test_an_onnx_file_takes_any_number_of_images(network: Network, tmp_path: Path, images: int) -> None:
    path = tmp_path / "network.onnx"
    write_onnx(network, torch.zeros(2, 3, 8, 8), path)
    batch = _images(images)
    session = onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": batch.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), _expected(network, batch))
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]


def test_a_fixed_batch_is_a_number_in_the_onnx_file(network: Network, tmp_path: Path) -> None:
    write_onnx(network, torch.zeros(1, 3, 8, 8), tmp_path / "network.onnx", dynamic_batch=False)
    session = onnxruntime().InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 3, 8, 8]


@pytest.mark.parametrize("images", [1, 3])
def test_a_pt2_file_takes_any_number_of_images(network: Network, tmp_path: Path, images: int) -> None:
    write_pt2(network, torch.zeros(2, 3, 8, 8), tmp_path / "network.pt2")
    batch = _images(images)
    loaded = torch.export.load(tmp_path / "network.pt2").module()
    torch.testing.assert_close(loaded(batch), _expected(network, batch))


@pytest.mark.parametrize("write", [write_onnx, write_pt2])
def test_the_network_keeps_its_mode(network: Network, tmp_path: Path, write: object) -> None:
    network.train()
    network.head.eval()
    write(network, torch.zeros(2, 3, 8, 8), tmp_path / "network.pt2")  # type: ignore[operator]
    assert (network.training, network.features.training, network.head.training) == (True, True, False)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named_with_its_extra(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"package {package}, .* pip install 'zenfront\[onnx\]'"):
        write_onnx(network, torch.zeros(2, 3, 8, 8), tmp_path / "network.onnx")

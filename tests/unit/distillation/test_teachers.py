"""Teachers that an experiment names, and each reason for which one is refused before anything is computed."""

import io
import re
import sys
import zipfile
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline.distillation import teachers
from zenfront.pipeline.distillation.program import Source, to_program
from zenfront.pipeline.distillation.teachers import find, open_teacher
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.experiment.train_config import Distillation
from zenfront.pipeline.formats import write_pt2
from zenfront.pipeline.record.commands import command
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.teacher_file import keep_teacher
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.user_code import _allowed
from zenfront.spaces import Task

OWN_SPACE = "from zenfront.spaces import load\nSPACE = load('anynet3')\n"
SMOKE = Path(__file__).parents[3] / "tune_configs" / "smoke.yaml"
DIGITS = Task(1, 8, 8, 10)


class Sums(nn.Module):
    """Logits k times the sum of all pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, 10)."""
        return x.sum((1, 2, 3))[:, None] * torch.arange(10.0)


def opened(teacher: str, runs: Path, *, allow_code: bool = False) -> None:
    text = f"train.distillation={{teacher: '{teacher}'}}"
    experiment = load_experiment(SMOKE, [text], allow_code=allow_code)
    teachers._opened.clear()
    open_teacher(experiment, runs)


@pytest.fixture
def fake_timm(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for timm, which needs torchvision: a list of the names that are asked for."""
    asked: list[str] = []

    def create_model(name: str, pretrained: bool) -> nn.Module:
        assert pretrained
        asked.append(name)
        if "broken" in name:
            raise OSError("no route to the hub")
        return Sums()

    timm = ModuleType("timm")
    timm.__spec__ = ModuleSpec("timm", None)
    config = {"mean": (0.5,), "std": (0.25,), "input_size": (1, 16, 12)}
    vars(timm).update(
        create_model=create_model,
        is_model_pretrained=lambda name: name.startswith("resnet"),
        data=SimpleNamespace(resolve_model_data_config=lambda network: config),
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    return asked


def test_a_network_of_timm_has_its_own_size_and_normalisation(fake_timm: list[str], tmp_path: Path) -> None:
    """timm states moments for pixels from 0 to 1."""
    found = find(Distillation(teacher="timm:resnet18"), DIGITS, tmp_path)
    assert (found.size, found.mean, found.std) == ((16, 12), (127.5,), (63.75,))
    find(Distillation(teacher="hub:someone/resnet"), DIGITS, tmp_path)
    assert fake_timm == ["resnet18", "hf-hub:someone/resnet"]


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ("timm:unknown", "timm has no network of this name with weights"),
        ("hub:someone/broken", "timm cannot load it: OSError: no route to the hub. Its weights must be in the cache"),
        ("nothing.pt2", "there is no such file"),
        ("norun", "there is no such run in"),
        ("norun/knee", "A teacher is timm:NAME, hub:OWNER/NAME, a .pt2 file, or RUN or RUN/NETWORK"),
    ],
)
def test_a_teacher_that_is_not_there_is_one_message(
    teacher: str, said: str, fake_timm: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as raised:
        opened(teacher, tmp_path, allow_code=True)
    assert str(raised.value).startswith(f"train.distillation.teacher: {teacher}: ")
    assert said in str(raised.value)


def test_without_timm_its_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(teachers, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"timm is not installed: install the extra `timm` with pip install 'zenfront\[t"
    ):
        opened("timm:resnet18", tmp_path)


def test_a_file_of_anyone_needs_the_permission_and_the_normalisation(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt2"
    write_pt2(Sums(), torch.zeros(2, 1, 4, 4), path)
    settings = Distillation(teacher=str(path), mean=(0.2,), std=(0.5,), size=(4, 4))
    named = load_experiment(SMOKE, [])
    asked = named.model_copy(update={"train": named.train.model_copy(update={"distillation": settings})})
    with pytest.raises(UserError, match=r"names a file that can run code, .*theirs.pt2. .*add --allow-code"):
        open_teacher(asked, tmp_path)
    found = find(settings, DIGITS, tmp_path)
    assert (found.size, found.mean, found.std) == ((4, 4), (51.0,), (127.5,))
    with pytest.raises(UserError, match="does not say how its images are normalised: add `mean` and `std`"):
        opened(str(path), tmp_path)  # --set allows what it names


class Scaled(nn.Module):
    """Logits k times the mean of all pixels, after layers that training mode changes."""

    def __init__(self, *layers: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.layers, self.scale = nn.Sequential(*layers), scale

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, 10)."""
        means: Tensor = self.layers(x).mean((1, 2, 3))[:, None]
        return means * self.scale * torch.arange(10.0)


def _written(path: Path, network: nn.Module, dynamic: bool = True, count: int = 2) -> Path:
    shapes = ({0: torch.export.Dim("images")},) if dynamic else None
    example = torch.ones(count, 1, 8, 8)
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=shapes), path)
    return path


def test_a_file_becomes_a_program_of_pixels(tmp_path: Path) -> None:
    """The worker's program has the logits of the network of the file, for any number of images."""
    path = _written(tmp_path / "theirs.pt2", Scaled(nn.BatchNorm2d(1)).eval())
    source = find(Distillation(teacher=str(path), mean=(0.2,), std=(0.5,)), DIGITS, tmp_path)
    program, _ = to_program(source, DIGITS)
    pixels = torch.linspace(0, 255, 3 * 64).view(3, 1, 8, 8)
    normal = (pixels / 255 - 0.2) / 0.5 / (1 + 1e-5) ** 0.5
    wanted = normal.mean((1, 2, 3))[:, None] * torch.arange(10.0)
    torch.testing.assert_close(torch.export.load(io.BytesIO(program)).module()(pixels), wanted)


@pytest.mark.parametrize(
    ("network", "dynamic", "said"),
    [
        (Scaled().eval(), False, "must take one tensor with any number of images (`dynamic_shapes`)"),
        (Scaled(scale=float("nan")).eval(), True, "its logits are not finite numbers"),
        (Scaled(nn.BatchNorm2d(1)).train(), True, "depend on the other images or on chance, as in training mode"),
    ],
)
def test_a_file_that_cannot_teach_is_one_message(network: nn.Module, dynamic: bool, said: str, tmp_path: Path) -> None:
    path = _written(tmp_path / "theirs.pt2", network, dynamic, count=4)
    source = find(Distillation(teacher=str(path), mean=(0.2,), std=(0.5,)), DIGITS, tmp_path)
    with pytest.raises(UserError, match=re.escape(said)):
        to_program(source, DIGITS)


@pytest.mark.parametrize("content", [b"", b"text", zipfile.ZIP_STORED])
def test_a_damaged_file_is_one_message(content: bytes | int, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt2"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w", content) as archive:
            archive.writestr("other", "file")
    with pytest.raises(UserError, match=r"cannot load it: .*It must be a whole file of `torch.export.save`\."):
        find(Distillation(teacher=str(path), mean=(0.2,), std=(0.5,)), DIGITS, tmp_path)


def test_a_run_that_is_not_trained_cannot_teach_and_neither_can_one_with_unknown_code(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_SPACE)
    experiment = load_experiment(SMOKE, ["name=plain"])
    with RunFolder(tmp_path / "plain").driving(experiment):
        pass
    with pytest.raises(
        UserError, match=r"A network of a run teaches if it is trained to the end; any other one can be"
    ):
        find(Distillation(teacher="plain"), DIGITS, tmp_path)
    own = load_experiment(SMOKE, ["name=own", f"space={tmp_path}/own.py"])
    with RunFolder(tmp_path / "own").driving(own):
        pass
    _allowed.difference_update(each.digest for each in own.own_code())
    with pytest.raises(UserError, match=r"that run has code of its own. Run `zenfront export own --pt2 --allow-code`"):
        find(Distillation(teacher="own"), DIGITS, tmp_path)


def test_all_networks_of_a_run_have_the_same_teacher(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    keep_teacher(folder, "a.pt2", "1" * 64)
    keep_teacher(folder, "a.pt2", "2" * 64)  # nothing has learned from the first one
    with Ledger(folder.epochs) as ledger:
        ledger.append([Epoch("one-0", 1, {"val_accuracy": 0.5}).to_row()])
    keep_teacher(folder, "a.pt2", "2" * 64)
    with pytest.raises(
        UserError, match=r"learned from the teacher with the weights 2{16}, but .*a.pt2, has .* 1{16} now"
    ):
        keep_teacher(folder, "a.pt2", "1" * 64)


def test_a_command_on_a_run_with_a_file_as_teacher_can_be_run_as_printed() -> None:
    experiment = load_experiment(SMOKE, ["train.distillation.teacher=a.pt2"])
    assert command("train", Path("runs/a"), experiment) == "`zenfront train a --allow-code`"


@pytest.mark.parametrize(
    ("distillation", "said"),
    [
        ("{teacher: a, size: [4, 4]}", "`size` is for a .pt2 file that does not state it, but the teacher is 'a'"),
        ("{teacher: a, weight: 0}", "train.distillation.weight: must be greater than 0"),
        ("{weight: 0.5}", "train.distillation.teacher: the key is missing: `timm:NAME`, "),
        ("{teacher: a, mean: [0.5]}", "`mean` and `std` must have a number for each channel, but got 1 and 0"),
    ],
)
def test_wrong_settings_are_one_message(distillation: str, said: str) -> None:
    with pytest.raises(UserError) as raised:
        load_experiment(SMOKE, [f"train.distillation={distillation}"])
    assert said in str(raised.value)


def test_the_classes_must_be_those_of_the_data_in_their_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = tuple("abcdefghij")
    monkeypatch.setattr(teachers, "find", lambda *_: Source(Sums(), (8, 8), (0.0,), (255.0,), names))
    experiment = load_experiment(SMOKE, ["train.distillation={teacher: any}"])
    assert open_teacher(experiment, tmp_path, names) is not None
    assert open_teacher(experiment, tmp_path) is not None
    with pytest.raises(UserError, match=r"its classes are a, b, c, .* but those of the data j, i, h, "):
        open_teacher(experiment, tmp_path, names[::-1])


def test_a_training_function_has_no_teacher(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(network, task, *, epochs, seed, device, checkpoint): ...\n")
    with pytest.raises(UserError, match="`distillation` is a part of the training by `recipe`, which `function` takes"):
        load_experiment(SMOKE, ["train.distillation={teacher: any}", f"train.function={tmp_path}/own.py"])

"""The files of the guides, outside the tree: as files that an experiment names, and as an installed package."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.registry import _entry_points
from zenfront.pipeline.scoring import Scoring
from zenfront.spaces import Task, initialise

Zenfront = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
SPACE_GUIDE = (ROOT / "docs" / "add-a-space.md").read_text(encoding="utf-8")
PROXY_GUIDE = (ROOT / "docs" / "add-a-proxy.md").read_text(encoding="utf-8")
TRAINING_GUIDE = (ROOT / "docs" / "own-training.md").read_text(encoding="utf-8")


def write_files(guide: str, folder: Path) -> None:
    """Write the Python files and the experiment of a guide."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, code in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", guide, re.MULTILINE | re.DOTALL):
        (folder / name).write_text(code, encoding="utf-8")
    for block in re.findall(r"^```yaml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL):
        (folder / "mine.yaml").write_text(block, encoding="utf-8")


def write_changed(guide: str, folder: Path, file: str, before: str, after: str) -> None:
    """Write the files of a guide, one of them with a change."""
    write_files(guide, folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert before in text
    (folder / file).write_text(text.replace(before, after), encoding="utf-8")


SPACES_THAT_BREAK_THE_CONTRACT = [
    ('genes["w2"] = 8', 'genes["w2"] = 72 - int(genes["w2"])', "test_canonical_is_idempotent_and_keeps_validity"),
    ('if genes["d2"] == 0:', 'if genes["d2"] <= 1:', "test_canonical_keeps_the_function"),
    ("nn.ReLU()", "nn.ReLU(inplace=True)", "test_a_network_has_two_parts_and_no_activation_in_place"),
]
PYTEST = """
import contextlib, io, json, os, pytest, sys
for folder, words in json.loads(sys.argv[1]):
    os.chdir(folder)
    sys.path.insert(0, folder)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(["-q", "-p", "no:cacheprovider", "-W", "error", *words])
    print(json.dumps([int(code), said.getvalue()]))
    sys.path.remove(folder)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(folder):
            del sys.modules[name]
"""


class Result(NamedTuple):
    code: int
    said: str


def run_pytest(*calls: tuple[Path, Sequence[str]], path: tuple[Path, ...] = ()) -> list[Result]:
    """Run pytest in folders, with this Zenfront installed beside the packages in `path`; one process for all calls."""
    places = os.pathsep.join(map(str, (*path, ROOT)))
    environment = {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    asked = json.dumps([(str(folder), words) for folder, words in calls])
    command = [sys.executable, "-c", PYTEST, asked]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [Result(*json.loads(line)) for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Results of the guides' tests outside the tree: as they are, and with mistakes in what they test."""
    place, calls = tmp_path_factory.mktemp("outside"), dict[str, tuple[Path, Sequence[str]]]()
    for guide, name in ((SPACE_GUIDE, "tinynet"), (PROXY_GUIDE, "saliency"), (TRAINING_GUIDE, "turned")):
        write_files(guide, place / name)
        calls[name] = place / name, [f"test_{name}.py"]
    for number, (before, after, test) in enumerate(SPACES_THAT_BREAK_THE_CONTRACT):
        write_changed(SPACE_GUIDE, place / str(number), "tinynet.py", before, after)
        calls[test] = place / str(number), ["test_tinynet.py", "-k", test]
    write_changed(PROXY_GUIDE, place / "mode", "saliency.py", "module.training = mode", "pass")
    calls["mode"] = place / "mode", ["test_saliency.py", "-k", "leaves_everything and residual"]
    write_changed(TRAINING_GUIDE, place / "rows", "turned.py", "    yield from rows\n", "")
    calls["rows"] = place / "rows", ["test_turned.py", "-k", "resumes_after_a_row"]
    return dict(zip(calls, run_pytest(*calls.values()), strict=True))


def passed(result: Result) -> int:
    """Number of tests that passed, all others being an error."""
    assert result.code == 0, result.said
    found = re.search(r"^(\d+) passed in ", result.said, re.MULTILINE)
    assert found, result.said
    return int(found[1])


@pytest.mark.slow
def test_a_space_outside_the_tree_passes_the_contract(outside: dict[str, Result]) -> None:
    assert passed(outside["tinynet"]) >= 19


@pytest.mark.slow
def test_a_proxy_outside_the_tree_passes_the_contract(outside: dict[str, Result]) -> None:
    assert passed(outside["saliency"]) >= 12 * 2 + len(spaces.names())


@pytest.mark.slow
def test_a_training_function_outside_the_tree_passes_the_contract(outside: dict[str, Result]) -> None:
    assert passed(outside["turned"]) == 7


@pytest.mark.slow
def test_a_training_function_that_breaks_the_contract_fails(outside: dict[str, Result]) -> None:
    assert outside["rows"].code == 1, outside["rows"].said
    assert "first yields the rows of the epochs in it" in outside["rows"].said


@pytest.mark.slow
@pytest.mark.parametrize("test", [test for _, _, test in SPACES_THAT_BREAK_THE_CONTRACT])
def test_a_space_that_breaks_the_contract_fails(test: str, outside: dict[str, Result]) -> None:
    assert outside[test].code == 1, outside[test].said
    assert f"FAILED test_tinynet.py::TestTinynet::{test}" in outside[test].said


@pytest.mark.slow
def test_a_proxy_that_breaks_the_contract_fails(outside: dict[str, Result]) -> None:
    assert outside["mode"].code == 1, outside["mode"].said
    assert "1 failed" in outside["mode"].said


def test_the_proxy_of_the_guide_is_the_gradient_of_the_loss(tmp_path: Path) -> None:
    """Against the difference quotient, in double precision."""
    write_files(PROXY_GUIDE, tmp_path)
    experiment = load_experiment(tmp_path / "mine.yaml", ["search.batch=2"], allow_code=True)
    scoring = Scoring.of(experiment)
    (proxy,) = (proxy for proxy in scoring._proxies if proxy.name == "saliency")
    architecture = scoring.space.sample(np.random.default_rng(1))
    network = initialise(scoring.space.network(architecture, scoring.task), torch.Generator().manual_seed(0), "default")
    network.double().eval()
    images, labels = scoring.batch.images.double(), scoring.batch.labels

    def loss(shifted: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(network(shifted), labels)

    differences = []
    with torch.no_grad():
        for index in range(images.numel()):
            step = torch.zeros(images.numel(), dtype=torch.float64)
            step[index] = 1e-6
            step = step.view_as(images)
            differences.append(float(loss(images + step) - loss(images - step)) / 2e-6)
    value = proxy.score(network, type(scoring.batch)(images, labels), torch.Generator())
    assert value == pytest.approx(np.abs(differences).mean(), rel=1e-5)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the guide's package and of its metadata, as pip leaves it."""
    site = tmp_path / "site"
    write_files(SPACE_GUIDE, site / "my_spaces")
    (site / "my_spaces" / "__init__.py").touch()
    metadata = site / "my_spaces-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-spaces\nVersion: 0.1\n", encoding="utf-8")
    found = re.search(r'^\[project.entry-points."(.*)"\]\n(.*)$', SPACE_GUIDE, re.MULTILINE)
    assert found
    points = f"[{found[1]}]\n{found[2].replace(chr(34), '')}\n"
    (metadata / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    _entry_points.cache_clear()
    yield site
    _entry_points.cache_clear()
    for name in ("my_spaces", "my_spaces.tinynet"):
        sys.modules.pop(name, None)


def test_the_space_of_the_guide_is_not_there_before() -> None:
    assert "tinynet" not in spaces.names()
    with pytest.raises(UserError, match="no search space named 'tinynet'"):
        spaces.load("tinynet")


@pytest.mark.usefixtures("installed")
def test_an_entry_point_adds_a_space() -> None:
    assert [point.value for point in entry_points(group="zenfront.spaces", name="tinynet")] == ["my_spaces.tinynet"]
    assert "tinynet" in spaces.names()
    assert "anynet3" in spaces.names()
    space = spaces.load("tinynet")
    assert space.size == 4 * 3 * 4 * 4
    architecture = space.sample(np.random.default_rng(0))
    network = initialise(space.network(architecture, Task(3, 8, 8, 5)), torch.Generator().manual_seed(0))
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.usefixtures("installed")
def test_the_width_of_an_absent_stage_is_canonical() -> None:
    space = spaces.load("tinynet")
    found = {space.architecture({"w1": 8, "d1": 1, "w2": width, "d2": 0}) for width in (8, 16, 32, 64)}
    assert [space.notation(architecture) for architecture in found] == ["w1=8,d1=1,w2=8,d2=0"]


@pytest.mark.usefixtures("installed")
def test_its_violation_is_said() -> None:
    space = spaces.load("tinynet")
    with pytest.raises(UserError, match="w1=8,d1=1,w2=16,d2=1: two stages of stride 2 need sides of 4"):
        space.network(space.architecture({"w1": 8, "d1": 1, "w2": 16, "d2": 1}), Task(3, 2, 2, 2))


@pytest.mark.slow
def test_the_contract_tests_of_the_project_pick_up_an_installed_package(installed: Path) -> None:
    contract = str(ROOT / "tests" / "contract" / "test_every_space.py")
    words = [contract, "-c", str(ROOT / "pyproject.toml"), "-k", "tinynet", "-m", "not slow"]
    (result,) = run_pytest((ROOT, words), path=(installed,))
    assert result.code == 0, result.said
    assert re.search(r"(\d+) passed", result.said)

"""`latency` measures what it was asked to, in each runtime, and says which options do not go together."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline import proxies, user_code
from zenfront.pipeline.checks import check_options
from zenfront.pipeline.errors import ScoreUndefined, UserError
from zenfront.pipeline.formats import onnxruntime
from zenfront.pipeline.proxies import Batch
from zenfront.pipeline.proxies._runtimes import in_process, program
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.user_code import allow, command_code
from zenfront.spaces import Network

LIKE = Batch(torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64))
COMMAND = {"runtime": "command", "device": "phone", "pause": 0.01}


class Probe(nn.Module):
    """Notes what each pass is given, and with how many threads it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, torch.dtype, int]] = []

    def __deepcopy__(self, memo: Any) -> "Probe":
        return self

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((len(x), x.dtype, torch.get_num_threads()))
        return x


def _latency(network: Network, **options: Any) -> float:
    return proxies.load("latency").score(network, LIKE, torch_generator(0, "latency"), **options)


def _probed(**options: Any) -> set[tuple[int, torch.dtype, int]]:
    probe = Probe()
    _latency(Network(probe, nn.Flatten()), warm_up=1, repeats=2, **options)
    assert len(probe.seen) == 3
    return set(probe.seen)


def test_torch_runs_in_the_precision_with_the_images_and_threads_that_are_asked_for() -> None:
    before = torch.get_num_threads()
    assert _probed() == {(1, torch.float32, before)}
    assert _probed(batch=4, threads=3, precision="bfloat16") == {(4, torch.bfloat16, 3)}
    assert torch.get_num_threads() == before


def test_images_is_the_earlier_name_of_batch() -> None:
    assert _probed(images=5) == _probed(batch=5) == _probed(batch=5, images=5)


@pytest.fixture
def small() -> Network:
    """A network that every format can hold."""
    return Network(nn.Sequential(nn.ReLU()), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def test_onnxruntime_measures_the_exported_network(small: Network) -> None:
    small.train()
    assert 0 < _latency(small, runtime="onnxruntime", batch=2, repeats=3) < 10
    assert small.training


def test_onnxruntime_does_not_measure_a_gpu_on_the_cpu() -> None:
    with pytest.raises(UserError, match=r"onnxruntime has no CUDAExecutionProvider here .*CPUExecutionProvider"):
        in_process.provider(onnxruntime(), "cuda")


def test_compiled_code_is_measured_after_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)  # the compiler itself takes half a minute
    assert _probed(runtime="torch.compile") == {(1, torch.float32, torch.get_num_threads())}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 2, "images": 3}, "`batch` and its earlier name `images` must be the same number, but got 2 and 3"),
        ({"command": "run {onnx}"}, "`command` needs `runtime: command`, but got `runtime: torch`"),
        ({"runtime": "onnxruntime", "device": "a"}, "`device` needs `runtime: command`"),
        ({"runtime": "onnxruntime", "precision": "bfloat16"}, "`float32` or `float16`, but got `precision: bfloat16`"),
        ({"runtime": "command", "device": "a"}, "`runtime: command` needs `command`: the program that measures"),
        ({"runtime": "command", "command": "run {onnx}"}, "`runtime: command` needs `device`: the name"),
        (COMMAND | {"command": "run {onxx}"}, "must name the exported file, by {onnx} or {pt2}, but got 'run {onxx}'"),
        (COMMAND | {"command": "run '{onnx}"}, "`command` cannot be divided into words (No closing quotation)"),
        (COMMAND | {"command": "run {onnx}", "pattern": "("}, "`pattern` is no regular expression"),
        (COMMAND | {"command": "run {onnx}", "pattern": "ms"}, "`pattern` must have one group, the milliseconds"),
        (COMMAND | {"command": "run {onnx}", "statistic": "spread"}, "prints one duration, which has no"),
        ({"runtime": "tensorrt"}, "proxies.latency.runtime: must be 'torch', 'torch.compile'"),
        ({"precision": "int8"}, "proxies.latency.precision: must be 'float32'"),
        ({"batch": 0}, "proxies.latency.batch: must be greater than or equal to 1"),
        ({"threads": 10**9}, "proxies.latency.threads: must be less than or equal to"),
        ({"retries": -1}, "proxies.latency.retries: must be greater than or equal to 0"),
        ({"timeout": 0.0}, "proxies.latency.timeout: must be greater than 0"),
        ({"model": 3}, "proxies.latency.model: must be greater than or equal to 10"),
        (COMMAND | {"device": "../phone"}, "proxies.latency.device: "),
    ],
)
def test_options_that_do_not_fit_are_told_before_anything_is_measured(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        check_options("latency", options)
    assert said in str(error.value)


def test_onnxruntime_without_the_extra_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"proxies.latency: ONNX needs the package onnxruntime.*zenfront\[onnx\]"):
        check_options("latency", {"runtime": "onnxruntime"})


def test_the_program_of_the_page_measures(small: Network, tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/latency.md").read_text(encoding="utf-8")
    [code] = re.findall(r'^```python\n("""Print the milliseconds.*?)^```', page, re.MULTILINE | re.DOTALL)
    (tmp_path / "measure.py").write_text(code, encoding="utf-8")
    command = f"{sys.executable} {tmp_path}/measure.py {{onnx}} {{threads}}"
    allow([command_code(command)])
    assert 0 < _latency(small, command=command, **COMMAND, retries=0) < 1


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few bytes in place of the exported networks."""

    def write(network: nn.Module, example: Tensor, path: Path, *, dynamic_batch: bool) -> None:
        path.write_text(f"{tuple(example.shape)} {example.dtype} {dynamic_batch}")

    monkeypatch.setattr(program, "_WRITERS", {"onnx": write, "pt2": write})


def _commanded(small: Network, script: str, **options: Any) -> float:
    command = f"sh -c '{script}' measure {{onnx}} {{batch}} {{threads}} {{precision}} {{pt2}}"
    allow([command_code(command)])
    return _latency(small, command=command, **(COMMAND | options))


@pytest.mark.usefixtures("exports")
def test_a_command_gets_the_file_and_the_numbers(small: Network, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    options = {"batch": 4, "threads": 2, "precision": "float16"}
    found = _commanded(small, f'cat "$1" "$5" > {seen}; echo $2 $3 $4 >> {seen}; echo 12.5', **options)
    assert found == pytest.approx(0.0125)
    shape = "(4, 3, 8, 8) torch.float16 False"
    assert seen.read_text() == f"{shape}{shape}4 2 float16\n"


@pytest.mark.usefixtures("exports")
@pytest.mark.parametrize(
    ("script", "pattern", "milliseconds"),
    [
        ("echo 1; echo 3.5 ms; echo done", None, 3.5),
        ("echo 1e1", None, 10),
        ("echo 2 >&2", None, 2),
        ("echo latency: min = 1 ms, median = 7.25 ms", "median = ([0-9.]+)", 7.25),
        ("yes | head -c 1000000; echo 4", None, 4),
    ],
)
def test_the_last_number_is_the_duration(small: Network, script: str, pattern: str | None, milliseconds: float) -> None:
    assert _commanded(small, script, pattern=pattern) == pytest.approx(milliseconds / 1000)


@pytest.mark.usefixtures("exports")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo all is well", "phone: no duration in 3 attempts; the last one: no line is a number.*: all is well"),
        ("true", r"no line is a number in what it printed: \(nothing\)"),
        ("echo 0", "must be a positive number of milliseconds, but it printed 0"),
        ("echo 1.2.3", "could not convert"),
        ("echo error: device offline >&2; exit 3", "it ended with exit code 3: error: device offline"),
        ("sleep 60 & wait", r"it gave no result within 0.3 s \(option `timeout`\)"),
        ("yes", r"it gave no result within 0.3 s"),
    ],
)
def test_a_program_without_a_result_is_the_reason_of_a_failure(small: Network, script: str, said: str) -> None:
    with pytest.raises(ScoreUndefined, match=said):
        _commanded(small, script, timeout=0.3 if "within" in said else 60.0, retries=2)


@pytest.mark.usefixtures("exports")
def test_a_program_that_hangs_leaves_no_process_behind(small: Network, tmp_path: Path) -> None:
    with pytest.raises(ScoreUndefined):
        _commanded(small, f"sleep 61 & echo $! > {tmp_path}/child; wait", timeout=0.3, retries=0)
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    assert not child.exists() or child.read_text().split()[2] == "Z"


@pytest.mark.usefixtures("exports")
def test_a_program_that_is_missing_is_not_tried_again(small: Network) -> None:
    command = "no-such-program {onnx}"
    allow([command_code(command)])
    with pytest.raises(ScoreUndefined, match="phone: the program 'no-such-program' does not run: No such file"):
        _latency(small, command=command, **COMMAND, retries=100)


@pytest.mark.usefixtures("exports")
def test_a_device_that_comes_back_is_measured_after_growing_pauses(
    small: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(program, "sleep", pauses.append)
    calls = tmp_path / "calls"
    calls.touch()
    script = f"echo x >> {calls}; test $(wc -l < {calls}) -gt 7 || {{ echo Connection refused; exit 255; }}; echo 6"
    assert _commanded(small, script, retries=8, pause=2.0) == pytest.approx(0.006)
    assert pauses == [2, 4, 8, 16, 32, 60, 60]


@pytest.mark.usefixtures("exports")
def test_a_command_that_was_not_allowed_does_not_run(
    small: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_code, "_allowed", set())
    with pytest.raises(
        UserError, match=r"names a command, which runs with all your rights: the command .*--allow-code"
    ):
        _latency(small, command=f"touch {tmp_path}/touched {{onnx}}", **COMMAND)
    assert not (tmp_path / "touched").exists()

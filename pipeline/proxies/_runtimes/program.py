"""Measurements by a program of the user's own, which gets the network as a file and prints milliseconds."""

import fcntl
import math
import os
import re
import select
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import monotonic, sleep

from torch import Tensor, nn

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.formats import write_onnx, write_pt2
from zenfront.pipeline.proxies._runtimes.in_process import in_precision
from zenfront.pipeline.proxies._runtimes.settings import FILES, Settings
from zenfront.pipeline.user_code import command_code, require_allowed

LONGEST_PAUSE = 60.0
MOST_KEPT = 2**16
"""Bytes of what a program prints that are kept, the last ones."""
NUMBER = re.compile(r"\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(?:ms)?\s*")
_WRITERS: Mapping[str, Callable[..., None]] = {"onnx": write_onnx, "pt2": write_pt2}


def program_seconds(network: nn.Module, images: Tensor, settings: Settings) -> list[float]:
    """Return the seconds that the program of `command` prints; one program at a time measures on a device.

    Raises:
        ScoreUndefined: The program is missing, or gave no duration in any attempt.
        UserError: The command is not allowed.
    """
    require_allowed([command_code(settings.command or "")])
    with TemporaryDirectory(prefix="zenfront-") as folder:
        words = _written(network, images, settings, Path(folder))
        with _alone(settings.device or ""):
            return [_attempts(words, settings) / 1000]


def _written(network: nn.Module, images: Tensor, settings: Settings, folder: Path) -> list[str]:
    """Write the files that the command names, and return its words with the values in place of the braces."""
    values: dict[str, object] = {"batch": settings.batch, "threads": settings.threads, "precision": settings.precision}
    values |= {"repeats": settings.repeats, "warm_up": settings.warm_up}
    network, images = in_precision(network, images, settings)
    for name in FILES:
        if any(f"{{{name}}}" in word for word in settings.words):
            values[name] = path = folder / f"network.{name}"
            _WRITERS[name](network, images, path, dynamic_batch=False)
    return [_filled(word, values) for word in settings.words]


def _filled(word: str, values: Mapping[str, object]) -> str:
    """Return a word with values in place of their names in braces; other braces stay."""
    return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), word)


def _attempts(words: list[str], settings: Settings) -> float:
    """Return the milliseconds of the first attempt that has a result; pauses between attempts grow twofold."""
    pause, problem = settings.pause, ""
    for attempt in range(settings.retries + 1):
        if attempt:
            sleep(min(pause, LONGEST_PAUSE))
            pause *= 2
        try:
            return _milliseconds(_output(words, settings.timeout), settings.pattern)
        except (FileNotFoundError, PermissionError) as error:
            problem = f"the program {words[0]!r} does not run: {error.strerror}"
            raise ScoreUndefined(f"{settings.device}: {problem}") from error
        except (OSError, ValueError) as error:
            problem = str(error)
    attempts = f"{settings.retries + 1} attempt{'s' if settings.retries else ''}"
    raise ScoreUndefined(f"{settings.device}: no duration in {attempts}; the last one: {problem}")


def _output(words: list[str], timeout: float) -> str:
    """Return the end of what a program prints; it and the programs that it started end with the time limit.

    Raises:
        OSError: It cannot be started.
        ValueError: It failed, or took too long.
    """
    deadline = monotonic() + timeout
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            printed = _read(process, deadline)
            code = process.wait(max(0.0, deadline - monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            _end(process)
            raise ValueError(f"it gave no result within {timeout:g} s (option `timeout`)") from error
        except BaseException:
            _end(process)
            raise
    if code:
        raise ValueError(f"it ended with exit code {code}: {_last_line(printed)}")
    return printed


def _read(process: "subprocess.Popen[bytes]", deadline: float) -> str:
    """Return the end of what a program prints until it closes its output."""
    assert process.stdout
    printed, source = b"", process.stdout.fileno()
    while True:
        ready, _, _ = select.select([source], [], [], max(0.0, deadline - monotonic()))
        if not ready:
            raise TimeoutError
        if not (data := os.read(source, MOST_KEPT)):
            return printed.decode(errors="replace")
        printed = (printed + data)[-MOST_KEPT:]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program and those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _milliseconds(printed: str, pattern: str | None) -> float:
    """Return the duration that a program has printed.

    Args:
        printed: What it printed: the last line that is a number, which may be followed by ``ms``, is the duration.
        pattern: Regular expression whose group is the duration instead; its last match counts.

    Raises:
        ValueError: There is no such number, or it is not positive.
    """
    lines = filter(None, map(NUMBER.fullmatch, printed.splitlines()))
    found = [each[1] for each in (re.finditer(pattern, printed, re.MULTILINE) if pattern else lines)]
    if not found:
        wanted = "no line is a number" if pattern is None else "`pattern` is not found"
        raise ValueError(f"{wanted} in what it printed: {_last_line(printed)}")
    value = float(found[-1])
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"the duration must be a positive number of milliseconds, but it printed {found[-1]}")
    return value


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip()[:200] if lines else "(nothing)"


@contextmanager
def _alone(device: str) -> Iterator[None]:
    """Hold a device for the duration of the context, against all other processes of this user on this machine."""
    path = Path(gettempdir()) / f"zenfront-{os.getuid()}-{device}.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)

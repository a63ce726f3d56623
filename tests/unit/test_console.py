"""The display of the work on a terminal, in a file, and after the output is closed."""

import io
import re
import unicodedata

import pytest
from rich.console import Console

from zenfront.pipeline.cli.terminal.console import ConsoleView, print_table
from zenfront.pipeline.progress import SearchProgress, TrialProgress, TrialState
from zenfront.pipeline.wording import clean, duration, number

HOSTILE = "ntk: [bold]singular[/bold]\x1b[31m\r\nrm -rf\u202e"


def _plain() -> tuple[ConsoleView, io.StringIO]:
    file = io.StringIO()
    return ConsoleView(Console(file=file, width=80)), file


def _terminal(width: int = 80) -> tuple[ConsoleView, io.StringIO]:
    file = io.StringIO()
    return ConsoleView(Console(file=file, width=width, height=30, force_terminal=True, color_system=None)), file


def _progress(generation: int, evaluations: int, failures: dict[str, int] | None = None) -> SearchProgress:
    best = {"zen": 61.234, "flops": 1234567.0}
    return SearchProgress(generation, evaluations, 240, 4.0, 12, 0.5, best, failures or {}, 17, 30.0)


def test_without_a_terminal_a_generation_is_one_line() -> None:
    view, file = _plain()
    with view:
        for evaluations in (10, 20, 30):
            view.search(_progress(1, evaluations))
        view.search(_progress(2, 80))
    assert file.getvalue().splitlines() == [
        "generation 1 · 10/240 scored · 4/s · 0:58 left · front 12 · hypervolume 0.5 · best zen=61.23 flops=1,234,567"
        " · infeasible 17 · failed 0",
        "generation 2 · 80/240 scored · 4/s · 0:40 left · front 12 · hypervolume 0.5 · best zen=61.23 flops=1,234,567"
        " · infeasible 17 · failed 0",
    ]


def test_without_a_terminal_a_run_is_reported_once_and_at_its_end() -> None:
    view, file = _plain()
    states: list[TrialState] = ["waiting", "running", "running", "stopped", "stopped"]
    with view:
        for epoch, state in enumerate(states):
            view.trial(TrialProgress("a-0", state, epoch, 27, 0.5, "rung 3: 0.5 < 0.6"))
    assert file.getvalue() == "a-0 stopped at epoch 3/27, validation accuracy 50.0 %: rung 3: 0.5 < 0.6\n"


def test_untrusted_text_cannot_control_the_terminal() -> None:
    view, file = _plain()
    with view:
        view.notify(HOSTILE)
        view.trial(TrialProgress("a-0", "diverged", 3, 27, None, HOSTILE))
    lines = file.getvalue().splitlines()
    assert len(lines) == 2
    assert not any(unicodedata.category(c) in ("Cc", "Cf") for line in lines for c in line)
    assert all("[bold]singular[/bold]" in line for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_the_search_fits_and_shows_everything(width: int) -> None:
    view, file = _terminal(width)
    with view:
        view.search(_progress(3, 120, {HOSTILE: 3, "a" * 300: 1}))
    shown = file.getvalue()
    for part in ("120/240", "4/s", "0:30 left", "12 members", "hypervolume 0.5", "zen 61.23", "17", "3 × ntk: [bold]"):
        assert part in shown
    assert "\x1b[31m" not in shown
    assert max(map(len, re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", shown))) <= width


def test_on_a_terminal_the_running_come_first_and_a_run_has_one_row() -> None:
    view, file = _terminal()
    with view:
        view.trial(TrialProgress("a-0", "finished", 27, 27, 0.9))
        view.trial(TrialProgress("b-0", "running", 3, 27, 0.5))
        view.trial(TrialProgress("b-0", "running", 4, 27, 0.6))
    last = file.getvalue().rpartition("training: 1 of 2 ended")[2]
    assert last.index("b-0") < last.index("a-0")
    assert "4/27" in last
    assert "3/27" not in last


def test_a_view_never_raises_into_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    for view, file in (_plain(), _terminal()):
        with view:
            view.notify("before")
            file.close()
            view.search(_progress(1, 10))
            view.trial(TrialProgress("a-0", "finished", 27, 27, 0.9))
            view.notify("after")
    assert capsys.readouterr().err.count("the view stopped (ValueError") == 2


def test_an_exception_of_the_work_goes_through_the_view() -> None:
    view, _ = _terminal()
    with pytest.raises(KeyboardInterrupt), view:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (43414144.0, "43,414,144"),
        (7, "7"),
        (61.23456, "61.23"),
        (0.000123456, "0.0001235"),
        (54321.987, "54,322.0"),
        (1.5e61, "1.5e+61"),
        (float("inf"), "inf"),
        (None, "-"),
        ("x\ny", "x y"),
    ],
)
def test_numbers_are_shown_for_reading(value: object, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(None, "-"), (0.4, "0:00"), (75, "1:15"), (3723.4, "1:02:03")])
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_time_left_is_unknown_without_a_rate() -> None:
    assert SearchProgress(0, 0, 240, 0.0).seconds_left is None
    assert SearchProgress(1, 40, 240, 4.0).seconds_left == 50


def test_clean_leaves_text_alone() -> None:
    assert clean("τ ± 0.1, 3 × 3 [a]") == "τ ± 0.1, 3 × 3 [a]"


def test_a_table_in_a_file_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    genes = ",".join(f"gene{i}=64" for i in range(12))
    print_table("Front [x]", ["id", "zen", "architecture"], [["a", 1.5, genes], ["b", None, "-"]])
    title, header, first, second = capsys.readouterr().out.splitlines()
    assert title.strip() == "Front [x]"
    assert header.split() == ["id", "zen", "architecture"]
    assert first.split() == ["a", "1.5", genes]
    assert second.split() == ["b", "-", "-"]

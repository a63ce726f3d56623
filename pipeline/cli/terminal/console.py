"""Show the work on a terminal (a live view and tables), or as plain lines in a file or a pipe."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zenfront.pipeline.cli.terminal.heartbeat import Heartbeat
from zenfront.pipeline.errors import passing_errors_to
from zenfront.pipeline.experiment.addresses import shown
from zenfront.pipeline.progress import SearchProgress, TrialProgress
from zenfront.pipeline.results.metric import ACCURACY
from zenfront.pipeline.wording import clean, duration, number

PLAIN_WIDTH = 200
"""Width of a table in a file or a pipe, in characters."""

RUNNING = 4
"""Training runs that a line names."""
_OVER = ("stopped", "finished", "diverged", "failed")
_STYLE = {"running": "cyan", "stopped": "yellow", "finished": "green", "diverged": "red", "failed": "red"}


class ConsoleView:
    """Show the progress of the work; use it as a context manager.

    Shows a live view on a terminal. Elsewhere, writes a line for each generation and each training run that ends,
    without control characters. A view never raises: if it cannot write (a closed pipe), it stops writing.

    Args:
        console: Console to write to; standard output by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="ellipsis")
        self._heartbeat = Heartbeat(self.notify)
        self._generation = -1
        self._trials: dict[str, TrialProgress] = {}
        self._quiet = False

    def __enter__(self) -> Self:
        if self._live:
            self._show(self._live.start)
        self._heartbeat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._heartbeat.stop()
        if self._live:
            self._show(self._live.stop)

    def search(self, progress: SearchProgress) -> None:
        """Show the state of the search; call it as often as you like."""
        self._heartbeat.set(None if self._live else lambda: search_line(progress))
        if self._live:
            self._picture(lambda: search_panel(progress))
        elif progress.generation != self._generation:
            self._generation = progress.generation
            self._line(search_line(progress))

    def trial(self, progress: TrialProgress) -> None:
        """Show the state of a training run."""
        before = self._trials.get(progress.trial)
        self._trials[progress.trial] = progress
        self._heartbeat.set(
            None if self._live else lambda: training_line(list(self._trials.values()), progress.seconds_left)
        )
        if self._live:
            self._picture(lambda: trials_panel(list(self._trials.values()), progress.seconds_left))
        elif progress.state in _OVER and (before is None or before.state != progress.state):
            self._line(trial_line(progress))

    def waiting(self, what: str) -> None:
        """Say what is waited for, every ten seconds until there is something else to say."""
        self._heartbeat.wait_for(what)

    def notify(self, text: str) -> None:
        """Write one line that stays."""
        self._line(clean(shown(text)))

    def _line(self, text: str) -> None:
        self._heartbeat.said()
        self._show(lambda: self._console.print(Text(text), soft_wrap=True))

    def _picture(self, render: Callable[[], RenderableType]) -> None:
        live = self._live
        if live:
            self._show(lambda: live.update(render(), refresh=True))

    def _show(self, action: Callable[[], None]) -> None:
        if not self._quiet:
            with passing_errors_to(self._go_quiet):
                action()

    def _go_quiet(self, error: Exception) -> None:
        """Stop the view: an error of it must not end hours of work."""
        self._quiet = True
        with suppress(Exception):
            if self._live:
                self._live.stop()  # restores standard error
        with suppress(Exception):
            reason = f"{type(error).__name__}: {clean(error)}"
            print(f"zenfront: the view stopped ({reason})", file=sys.stderr)  # noqa: T201


def search_line(progress: SearchProgress) -> str:
    """Return the state of a search as one line."""
    parts = [
        f"generation {progress.generation}",
        f"{progress.evaluations}/{progress.total} scored",
        f"{progress.rate:.3g}/s",
        f"{duration(progress.seconds_left)} left",
        *_front(progress),
        "best " + (" ".join(f"{clean(name)}={number(value)}" for name, value in progress.best.items()) or "-"),
        f"infeasible {progress.infeasible}",
        f"failed {sum(progress.failures.values())}",
    ]
    return " · ".join(parts)


def _front(progress: SearchProgress) -> list[str]:
    if progress.front is None:
        return []
    return [f"front {progress.front}", f"hypervolume {number(progress.hypervolume)}"]


def trial_line(progress: TrialProgress) -> str:
    """Return the state of a training run as one line."""
    reason = f": {clean(progress.reason)}" if progress.reason else ""
    where = (
        f"epoch {progress.epoch}/{progress.epochs}, {progress.metric.validated} {progress.metric.shown(progress.value)}"
    )
    return f"{clean(progress.trial)} {progress.state} at {where}{reason}{_left(progress.seconds_left)}"


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f", about {duration(seconds)} left"


def training_line(trials: Sequence[TrialProgress], left: float | None = None) -> str:
    """Return the state of all training runs as one line."""
    states = Counter(trial.state for trial in trials)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    running = [f"{clean(t.trial)} epoch {t.epoch}/{t.epochs}" for t in trials if t.state == "running"]
    return " · ".join([f"training: {counts}{_left(left)}", *running[:RUNNING], *(["..."] if running[RUNNING:] else [])])


def search_panel(progress: SearchProgress) -> RenderableType:
    """Return the live view of a search: its progress, front, best values and failures."""
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(no_wrap=True)
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True, justify="right")
    bar.add_row(
        Text(f"search {progress.evaluations:,}/{progress.total:,}", "bold"),
        ProgressBar(total=max(progress.total, 1), completed=progress.evaluations),
        Text(f"{progress.rate:.3g}/s  {duration(progress.seconds)}  {duration(progress.seconds_left)} left"),
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    facts.add_row("generation", number(progress.generation))
    if progress.front is not None:
        facts.add_row("front", f"{progress.front} members, hypervolume {number(progress.hypervolume)}")
    facts.add_row("best", Text("   ".join(f"{clean(k)} {number(v)}" for k, v in progress.best.items()) or "-"))
    facts.add_row("infeasible", number(progress.infeasible))
    for reason, count in sorted(progress.failures.items(), key=lambda item: -item[1])[:5]:
        facts.add_row("failed", Text(f"{count} × {clean(reason)}", "red", overflow="ellipsis", no_wrap=True))
    return Group(bar, facts)


def trials_panel(trials: Sequence[TrialProgress], left: float | None = None) -> RenderableType:
    """Return the training runs as a table: those that run first, then those that wait, then those that ended."""
    order = ("running", "waiting", *_OVER)
    ended = sum(trial.state in _OVER for trial in trials)
    title = f"training: {ended} of {len(trials)} ended{_left(left)}"
    table = Table(box=None, title=title, title_justify="left", pad_edge=False)
    for name, justify in (("run", "left"), ("state", "left"), ("epoch", "right"), (_head(trials), "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("decision", overflow="ellipsis", no_wrap=True)
    for trial in sorted(trials, key=lambda trial: (order.index(trial.state), -trial.epoch)):
        epoch, accuracy = f"{trial.epoch}/{trial.epochs}", trial.metric.shown(trial.value)
        state = Text(trial.state, _STYLE.get(trial.state, "dim"))
        table.add_row(Text(clean(trial.trial)), state, epoch, accuracy, Text(clean(trial.reason)))
    return table


def _head(trials: Sequence[TrialProgress]) -> str:
    """Return the name of the metric as the head of a column."""
    metric = trials[0].metric if trials else ACCURACY
    return f"val. {metric.words}" if metric.is_accuracy else clean(metric.words)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on standard output, with numbers aligned right and the last column cut at the terminal's edge."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)
    table = Table(title=Text(clean(title)), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        table.add_column(Text(clean(name)), justify="right" if numeric else "left", no_wrap=index < len(columns) - 1)
    for row in rows:
        table.add_row(*(Text(number(value), no_wrap=True, overflow="ellipsis") for value in row))
    console.print(table)


def print_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Print lines that have a bold beginning each; long ones are wrapped at the terminal's edge."""
    console = Console(highlight=False)
    for beginning, rest in lines:
        console.print(Text.assemble((clean(beginning), "bold"), clean(rest)), soft_wrap=not console.is_terminal)

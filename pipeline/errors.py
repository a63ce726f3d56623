"""The exceptions that Zenfront raises."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """An error that the user can correct; the message states the rule, the value, the place and the remedy.

    The command line prints the message without a traceback and exits with code 2.
    """


class ScoreUndefined(Exception):
    """A proxy has no finite value on a network; the message is recorded in the ledger as the reason."""


class TimeIsUp(BaseException):
    """Work has taken longer than its time limit; no Exception, so that the work itself does not catch it."""


LONGEST_REASON = 500
"""Characters of a reason in a record."""


def reason(error: BaseException, name: str | None = None) -> str:
    """Return an exception as the reason of a failure: its type and message, in at most `LONGEST_REASON` characters.

    Args:
        error: The exception; of a `ScoreUndefined`, the message alone is the reason.
        name: Name of the work, with which the reason begins.
    """
    try:
        text = str(error)
    except Exception:  # the exception of a plug-in may have no message at all
        text = "(its message cannot be shown)"
    parts = [name, None if isinstance(error, ScoreUndefined) else type(error).__name__, text]
    return shortened(": ".join(part for part in parts if part is not None))


def shortened(text: str) -> str:
    """Return a text of at most `LONGEST_REASON` characters, all of which UTF-8 can write."""
    text = text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 3]}..."
    return text.encode(errors="replace").decode()


@contextmanager
def passing_errors_to(handle: Callable[[Exception], None]) -> Iterator[None]:
    """Call a function with an exception that the block raises, instead of letting it through to the caller."""
    try:
        yield
    except Exception as error:
        handle(error)

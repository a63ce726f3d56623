"""The exceptions that Zenfront raises."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """An error that the user can correct; the message states the rule, the value, the place and the remedy.

    The command line prints the message without a traceback and exits with code 2.
    """


class ScoreUndefined(Exception):
    """A proxy has no finite value on a network; the message is recorded in the ledger as the reason."""


@contextmanager
def passing_errors_to(handle: Callable[[Exception], None]) -> Iterator[None]:
    """Call a function with an exception that the block raises, instead of letting it through to the caller."""
    try:
        yield
    except Exception as error:
        handle(error)

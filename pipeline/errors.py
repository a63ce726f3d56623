"""The two ways in which Zenfront says no."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something that the user can put right: the rule, the value, the place, what to do.

    The command line prints the message alone and ends with exit code 2.
    """


class ScoreUndefined(Exception):
    """A proxy has no finite value on this network; the message is the reason and goes into the ledger."""


@contextmanager
def passing_errors_to(handle: Callable[[Exception], None]) -> Iterator[None]:
    """Call a function with an exception that the block raises, instead of letting it through to the caller."""
    try:
        yield
    except Exception as error:
        handle(error)

"""Zenfront: find network architectures without training them, then train the few that matter.

Use it from Python as ``import zenfront as zf``:

* `score` takes training-free scores of a torch module, or of an architecture of a search space;
* `search` runs a search, `run` a search with training and report; `open_run` opens a run that exists;
* `build` builds an architecture of a search space as a torch module; `Run.model` returns a trained one;
* `edf` compares design spaces by the distributions of their errors;
* `spaces` and `proxies` list and load search spaces and scores: ``zf.proxies.names()``, ``zf.spaces.load("anynet3")``.

Importing this package imports nothing heavy: a name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zenfront import spaces
    from zenfront._build import build
    from zenfront._edf import EdfResult, edf
    from zenfront._run import Run, open_run
    from zenfront._score import score
    from zenfront._search import run, search
    from zenfront.pipeline import proxies
    from zenfront.pipeline.errors import UserError
    from zenfront.pipeline.results.score_result import ScoreResult

__version__ = "0.1.0"

__all__ = [
    "EdfResult",
    "Run",
    "ScoreResult",
    "UserError",
    "__version__",
    "build",
    "edf",
    "open_run",
    "proxies",
    "run",
    "score",
    "search",
    "spaces",
]

_HOMES = {
    "EdfResult": "zenfront._edf",
    "build": "zenfront._build",
    "edf": "zenfront._edf",
    "Run": "zenfront._run",
    "ScoreResult": "zenfront.pipeline.results.score_result",
    "UserError": "zenfront.pipeline.errors",
    "open_run": "zenfront._run",
    "run": "zenfront._search",
    "score": "zenfront._score",
    "search": "zenfront._search",
}
_MODULES = {"proxies": "zenfront.pipeline.proxies", "spaces": "zenfront.spaces"}

if not TYPE_CHECKING:  # a type checker reports names that do not exist

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            value = import_module(_MODULES[name])
        elif name in _HOMES:
            value = getattr(import_module(_HOMES[name]), name)
        else:
            raise AttributeError(f"module 'zenfront' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

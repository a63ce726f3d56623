"""The folder is the registry: a module without underscore is an entry, its constant the thing itself."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from zenfront.pipeline.errors import UserError


@cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def _public_modules(package: str) -> Iterator[str]:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("_"):
            yield module.name


@dataclass(frozen=True)
class Registry:
    """What a folder (and the entry points of other packages) offers under a name.

    Attributes:
        package: Dotted name of the folder, ``zenfront.pipeline.proxies``.
        constant: What each of its modules exports, ``PROXY``.
        kind: The word for messages, ``proxy``.

    Other packages add entries through the entry-point group ``zenfront.<last part of package>``;
    an entry point names the object itself or a module that exports the constant.
    """

    package: str
    constant: str
    kind: str

    @property
    def _foreign(self) -> dict[str, EntryPoint]:
        return _entry_points(f"zenfront.{self.package.rpartition('.')[2]}")

    def names(self) -> list[str]:
        """All known names, sorted; the project's own win over entry points of the same name."""
        return sorted({*_public_modules(self.package), *self._foreign})

    def _foreign_object(self, point: EntryPoint) -> Any:
        try:
            loaded = point.load()
        except Exception as error:  # another package's code: whatever it does wrong is for its author to put right
            raise UserError(
                f"The {self.kind} {point.name!r} of another package cannot be loaded from {point.value}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return getattr(loaded, self.constant, loaded)

    def load(self, name: str) -> Any:
        """The object of that name; a wrong name's error lists the known ones.

        Raises:
            UserError: No such name; another package's entry cannot be loaded.
        """
        if name in set(_public_modules(self.package)):
            return getattr(importlib.import_module(f"{self.package}.{name}"), self.constant)
        if name in self._foreign:
            return self._foreign_object(self._foreign[name])
        near = get_close_matches(name, self.names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"There is no {self.kind} named {name!r}.{hint} Known: {', '.join(self.names())}.")

"""Registries of plug-ins: each module of a folder without underscore is an entry, exported as a constant."""

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
    """The named entries of a folder and of the entry points of other packages.

    Other packages add entries through the entry-point group ``zenfront.<last part of package>``. An entry point names
    the object itself or a module that exports the constant.

    Attributes:
        package: Dotted name of the folder, e.g. ``zenfront.pipeline.proxies``.
        constant: Constant that each of its modules exports, e.g. ``PROXY``.
        kind: Name of an entry in messages, e.g. ``proxy``.
    """

    package: str
    constant: str
    kind: str

    @property
    def _foreign(self) -> dict[str, EntryPoint]:
        return _entry_points(f"zenfront.{self.package.rpartition('.')[2]}")

    def names(self) -> list[str]:
        """Return all known names, sorted; modules of the folder take precedence over entry points of the same name."""
        return sorted({*_public_modules(self.package), *self._foreign})

    def _foreign_object(self, point: EntryPoint) -> Any:
        try:
            loaded = point.load()
        except Exception as error:  # the code of another package may raise anything
            raise UserError(
                f"The {self.kind} {point.name!r} of another package cannot be loaded from {point.value}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return getattr(loaded, self.constant, loaded)

    def load(self, name: str) -> Any:
        """Return the object of that name.

        Raises:
            UserError: There is no entry of that name (the message lists the known ones), or the entry of another
                package cannot be loaded.
        """
        if name in set(_public_modules(self.package)):
            return getattr(importlib.import_module(f"{self.package}.{name}"), self.constant)
        if name in self._foreign:
            return self._foreign_object(self._foreign[name])
        near = get_close_matches(name, self.names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"There is no {self.kind} named {name!r}.{hint} Known: {', '.join(self.names())}.")

"""Registries of plug-ins: each module of a folder without underscore is an entry, exported as a constant."""

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.user_code import UserCode
from zenfront.pipeline.wording import suggestion


@cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def _public_modules(package: str) -> Iterator[str]:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("_"):
            yield module.name


def registry_of(kind: str) -> "Registry":
    """Return the registry of ``spaces``, ``proxies``, ``algorithms`` or ``schedulers``."""
    package = "zenfront.spaces" if kind == "spaces" else f"zenfront.pipeline.{kind}"
    registry: Registry = getattr(importlib.import_module(package), kind.upper())
    return registry


@dataclass(frozen=True)
class Registry:
    """The named entries of a folder, of the entry points of other packages, and of an experiment's own code.

    Other packages add entries through the entry-point group ``zenfront.<last part of package>``. An entry point names
    the object itself or a module that exports the constant. An experiment adds, for itself alone, what its files hold
    (`UserCode`).

    Attributes:
        package: Dotted name of the folder, e.g. ``zenfront.pipeline.proxies``.
        constant: Constant that each of its modules exports, e.g. ``PROXY``.
        kind: Name of an entry in messages, e.g. ``proxy``.
        exports: Type of an entry.
    """

    package: str
    constant: str
    kind: str
    exports: type = object

    @property
    def folder(self) -> str:
        """The last part of the package, which names the group of entry points and the kind of `UserCode`."""
        return self.package.rpartition(".")[2]

    @property
    def _foreign(self) -> dict[str, EntryPoint]:
        return _entry_points(f"zenfront.{self.folder}")

    def names(self, code: Sequence[UserCode] = ()) -> list[str]:
        """Return all known names, sorted; modules of the folder take precedence over entry points of the same name."""
        own = (each.name for each in code if each.kind == self.folder)
        return sorted({*_public_modules(self.package), *self._foreign, *own})

    def load(self, name: str, code: Sequence[UserCode] = ()) -> Any:
        """Return the object of that name.

        Args:
            name: Name of a module of the folder, of an entry point, or of an entry in `code`.
            code: Code of the experiment.

        Raises:
            UserError: There is no entry of that name (the message lists the known ones), or an entry of another
                package or of the experiment cannot be loaded.
        """
        if own := next((each for each in code if (each.kind, each.name) == (self.folder, name)), None):
            return self._own_object(own)
        if name in set(_public_modules(self.package)):
            return getattr(importlib.import_module(f"{self.package}.{name}"), self.constant)
        if name in self._foreign:
            return self._foreign_object(self._foreign[name])
        problem = str(self.problem(name, code))
        raise UserError(problem[0].upper() + problem[1:])

    def problem(self, name: str, code: Sequence[UserCode] = ()) -> str | None:
        """Return why a name is no entry, with the known ones, or None if it is one."""
        known = self.names(code)
        if name in known:
            return None
        shown = name if len(name) <= 80 else f"{name[:77]}..."
        return f"there is no {self.kind} named {shown!r}.{suggestion(name, known)} Known: {', '.join(known)}."

    def _own_object(self, code: UserCode) -> Any:
        loaded = code.load()
        if problem := self._misfit(loaded):
            raise UserError(f"{code.where()}: {code.attribute} {problem}.")
        if (name := getattr(loaded, "name", code.name)) != code.name:
            raise UserError(
                f"{code.where()}: {code.attribute}.name must be {code.name!r}, after the file or the attribute, "
                f"but got {name!r}. Change one of them."
            )
        return loaded

    def _foreign_object(self, point: EntryPoint) -> Any:
        try:
            loaded = point.load()
        except Exception as error:  # the code of another package may raise anything
            raise UserError(
                f"The {self.kind} {point.name!r} of another package cannot be loaded from {point.value}: "
                f"{type(error).__name__}: {error}"
            ) from error
        loaded = getattr(loaded, self.constant, loaded)
        if problem := self._misfit(loaded):
            raise UserError(f"The {self.kind} {point.name!r} of another package ({point.value}) {problem}.")
        return loaded

    def _misfit(self, loaded: object) -> str | None:
        if isinstance(loaded, self.exports):
            return None
        return f"must be a {self.exports.__name__} ({self.kind}), but got a {type(loaded).__name__}"

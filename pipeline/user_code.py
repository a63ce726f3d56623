"""Code that an experiment names: read as text, part of the experiment's identity, run only after it was allowed."""

import ast
import hashlib
import importlib
import linecache
import shlex
import sys
import traceback
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import cached_property
from importlib.machinery import ModuleSpec
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.wording import suggestion

MAX_BYTES = 1_000_000
COMMANDS = "commands"
"""Kind of the command lines that an experiment names."""
FILES = "files"
"""Kind of the files that can run code when they are read."""
_allowed: set[str] = set()
_loading = RLock()


@dataclass(frozen=True)
class UserCode:
    """An object in a Python file, or in an installed module, of the user's own.

    The value is data: it is compared, stored and sent without running anything. `load` runs the source, once per
    process, and refuses to do so before `allow` was called with it. A pickle of an allowed value is allowed where it
    arrives, so that a worker runs what its driver was allowed to run.

    Attributes:
        kind: Folder of the registry that it adds to, ``spaces`` or ``proxies``; ``training`` for `train.function`;
            ``commands`` for a command line, which is then its source.
        name: Name in results, tables and messages: of the file, or of the attribute in lower case; of a command, the
            proxy that runs it.
        attribute: Name of the object in the module.
        file: Absolute path of the source, for messages and tracebacks.
        source: Text of the file.
        module: Dotted name of an installed module; None for a file, which is sent to the workers as its source.
    """

    kind: str
    name: str
    attribute: str
    file: str
    source: str
    module: str | None = None

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the source, in hexadecimal digits."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    def __str__(self) -> str:
        if self.kind == COMMANDS:
            return f"proxies.{self.name} runs {self.file}"
        return f"{self.kind}.{self.name} is {self.reference}, content {self.digest[:16]}"

    @property
    def reference(self) -> str:
        """The reference that names this object from anywhere on this machine."""
        return f"{self.module or self.file}:{self.attribute}"

    def load(self) -> Any:
        """Return the object, or the command line.

        Raises:
            UserError: The code is not allowed, cannot be run, or defines no such object.
        """
        require_allowed([self])
        if self.kind == COMMANDS:
            return self.source
        with _loading:
            loaded = self._installed() if self.module else self._executed()
        if not hasattr(loaded, self.attribute):
            names = [name for name, it in vars(loaded).items() if not (name.startswith("_") or isinstance(it, type))]
            hint = suggestion(self.attribute, names) or suggestion(self.name, names)
            raise UserError(f"{self.file}: the file defines no {self.attribute}.{hint}")
        return getattr(loaded, self.attribute)

    def where(self, error: BaseException | None = None) -> str:
        """Return the place of an error in this code, or of the object's definition, as ``file, line 3``."""
        return f"{self.file}, line {line}" if (line := self._line(error)) else self.file

    def _line(self, error: BaseException | None) -> int | None:
        if isinstance(error, SyntaxError) and error.filename == self.file:
            return error.lineno
        if error:
            frames = traceback.extract_tb(error.__traceback__)
            return next((frame.lineno for frame in reversed(frames) if frame.filename == self.file), None)
        return next((node.lineno for node in ast.parse(self.source).body if self.attribute in _defined(node)), None)

    def _executed(self) -> ModuleType:
        """Run the source as a module of its own, under a name that no other content has."""
        name = f"zenfront_user_code_{self.digest[:16]}"
        if name not in sys.modules:
            module = ModuleType(name)
            module.__file__ = self.file
            linecache.cache[self.file] = (len(self.source), None, self.source.splitlines(True), self.file)
            sys.modules[name] = module  # dataclasses and type hints look their module up
            try:
                exec(compile(self.source, self.file, "exec", dont_inherit=True), vars(module))
            except (Exception, SystemExit) as error:
                del sys.modules[name]
                raise self._failure(error) from error
        return sys.modules[name]

    def _installed(self) -> ModuleType:
        """Import the module, if it is the one that the experiment was started with."""
        assert self.module
        if _text(_located(self.module), self.module) != self.source:
            raise UserError(
                f"the module {self.module} has changed since the experiment read it ({self.file}): install the version "
                "that it was started with, or start a run under another name."
            )
        try:
            return importlib.import_module(self.module)
        except (Exception, SystemExit) as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> UserError:
        alone = isinstance(error, ImportError) and not self.module
        hint = " A file may import installed packages, but no file beside it: it is sent to workers alone."
        problem = error.msg if isinstance(error, SyntaxError) else error
        return UserError(f"{self.where(error)}: {type(error).__name__}: {problem}.{hint if alone else ''}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (astuple(self), self.digest in _allowed)


def allow(code: Iterable[UserCode]) -> None:
    """Let this process run this code; a later change of a file is other code."""
    _allowed.update(each.digest for each in code)


def is_allowed(code: Iterable[UserCode]) -> bool:
    """Return whether this process may run all of this code."""
    return all(each.digest in _allowed for each in code)


def require_allowed(code: Iterable[UserCode]) -> None:
    """Check that this process may run all of this code.

    Raises:
        UserError: Some of it was not allowed.
    """
    code = [each for each in code if each.digest not in _allowed]
    refused = dict.fromkeys(each.module or each.file for each in code)
    if refused:
        raise UserError(
            f"the experiment names {_what(code)}, which runs with all your rights: {', '.join(refused)}. "
            "Read it; if you trust it, add --allow-code (in Python: allow_code=True)."
        )


def _what(code: Iterable[UserCode]) -> str:
    kinds = {each.kind for each in code}
    if kinds == {FILES}:
        return "a file that can run code"
    return "a command" if kinds == {COMMANDS} else "code" if COMMANDS in kinds else "Python code"


def command_code(command: str, name: str = "") -> UserCode:
    """Return a command line of an experiment as code, which needs the same permission.

    Args:
        command: The command line.
        name: Name of the proxy that runs it.
    """
    return UserCode(COMMANDS, name, "", f"the command {shlex.quote(command)}", command)


def file_code(path: str) -> UserCode:
    """Return a file that can run code when it is read, such as a pickle, as code: it needs the same permission.

    Args:
        path: The file, which is not read here.
    """
    return UserCode(FILES, Path(path).stem, "", path, f"file {path}")


def is_reference(text: str) -> bool:
    """Return whether a name in an experiment is a reference to code: a path, ``file.py`` or ``module:ATTRIBUTE``."""
    return "/" in text or ":" in text or text.endswith(".py")


def read(kind: str, constant: str, reference: str, folder: Path) -> UserCode:
    """Read the code that a reference names, without running any of it.

    Args:
        kind: Folder of the registry, ``spaces``.
        constant: Attribute that is meant if the reference names none, ``SPACE``.
        reference: ``file.py``, ``file.py:ATTRIBUTE``, ``package.module:ATTRIBUTE``.
        folder: Folder that a relative path starts from.

    Raises:
        UserError: It is no reference; there is no such file or module; it is no text.
    """
    place, attribute = (reference, constant) if reference.endswith(".py") else _parted(reference)
    if place.endswith(".py"):
        file, module, last = (folder / place).resolve(), None, Path(place).stem
    else:
        file, module, last = _located(place), place, place.rpartition(".")[2]
    name = last if attribute == constant else attribute.lower()
    if not (name.isascii() and name.isidentifier()):
        raise UserError(f"{reference}: the file's name is the name in the results, and {name!r} is no Python name.")
    return UserCode(kind, name, attribute, str(file), _text(file, reference), module)


def _parted(reference: str) -> tuple[str, str]:
    place, _, attribute = reference.rpartition(":")
    dotted = bool(place) and all(part.isidentifier() for part in place.split("."))
    if attribute.isidentifier() and (dotted or place.endswith(".py")):
        return place, attribute
    raise UserError(f"{reference!r} names no code: write ./file.py, ./file.py:NAME or package.module:NAME.")


def _located(module: str) -> Path:
    """Find the source file of an installed module; neither it nor its parents are imported."""
    path: Any = None
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        dotted = ".".join(parts[:end])
        found = (finder.find_spec(dotted, path, None) for finder in sys.meta_path)
        spec = next(filter(None, found), None)
        path = spec.submodule_search_locations if spec else None
        if spec is None or (path is None and end < len(parts)):
            raise UserError(f"there is no module {module!r}: {dotted} is not installed here.")
    if spec is None or not (spec.origin or "").endswith(".py"):
        raise UserError(f"the module {module!r} is no Python file, so that its content cannot be compared.")
    return Path(str(spec.origin))


def _text(file: Path, reference: str) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {reference} ({file}): {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise UserError(f"{file}: a file of code has at most {MAX_BYTES:,} bytes, but this one is larger.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}, line {line}: the text must be UTF-8, but byte {error.start} is not.") from error


def _defined(node: ast.stmt) -> set[str]:
    """Return the names that a statement at the top of a module defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def _received(values: tuple[Any, ...], allowed: bool) -> UserCode:
    code = UserCode(*values)
    if allowed:
        allow([code])
    return code

"""Makes .venv, or brings it up to date when pyproject.toml or constraints.txt have changed. Needs Python alone.

The stamp says what .venv was made of. It is replaced when all is done: an interrupted set-up begins anew. So does one
by another interpreter or at another place.
"""

import hashlib
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "zenfront.stamp"
UNFINISHED = "unfinished"


def base() -> str:
    """What .venv has to stand on: the interpreter, and the place (scripts hold its path)."""
    return digest(sys.version.encode(), sys.base_prefix.encode(), str(VENV).encode())


def wanted() -> str:
    """What .venv has to be made of: its base, and the two files."""
    return base() + digest(*((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")))


def digest(*parts: bytes) -> str:
    """One for all parts."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def main() -> int:
    """Returns the exit code."""
    version = sys.version.split()[0]
    if sys.version_info < (3, 11):  # noqa: UP036 - whatever `python3` is runs this file
        print(f"zenfront: Python 3.11 or newer is needed, but {sys.executable} is {version}.", file=sys.stderr)
        print("Name another: PYTHON=python3.12 just setup", file=sys.stderr)
        return 2
    found = STAMP.read_text() if STAMP.exists() else ""
    if found == wanted():
        return 0
    print(f"Setting up {VENV} with Python {version}: some minutes, once ...", flush=True)
    started = time.monotonic()
    venv.create(VENV, clear=bool(found) and not found.startswith(base()), with_pip=True, symlinks=True)
    STAMP.write_text(UNFINISHED)
    pip = [str(VENV / "bin/python"), "-m", "pip", "-qq", "--disable-pip-version-check", "install"]
    if subprocess.call([*pip, "-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[dev]"]):
        print("zenfront: pip failed, its message is above. The same command tries again.", file=sys.stderr)
        return 1
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(wanted())
    fresh.replace(STAMP)
    print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

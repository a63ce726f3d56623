"""Create .venv, or update it when pyproject.toml or constraints.txt have changed. Needs nothing but Python.

A stamp in .venv records what it was made from. The stamp is written last, so that an interrupted setup starts over. A
setup with another interpreter or in another folder starts over as well.
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
    """Return the digest of what .venv cannot change: its interpreter, and its path, which its scripts contain."""
    return digest(sys.version.encode(), sys.base_prefix.encode(), str(VENV).encode())


def wanted() -> str:
    """Return the stamp of an up-to-date .venv: its base and the contents of the two files."""
    return base() + digest(*((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")))


def digest(*parts: bytes) -> str:
    """Return one digest of all parts."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def main() -> int:
    """Set up .venv if it is not up to date, and return the exit code."""
    version = sys.version.split()[0]
    if sys.version_info < (3, 11):  # noqa: UP036 - an older `python3` may run this file
        print(f"zenfront: Python 3.11 or newer is needed, but {sys.executable} is {version}.", file=sys.stderr)
        print("Choose another interpreter: PYTHON=python3.12 just setup", file=sys.stderr)
        return 2
    found = STAMP.read_text() if STAMP.exists() else ""
    if found == wanted():
        return 0
    print(f"Setting up {VENV} with Python {version}; this takes some minutes, once ...", flush=True)
    started = time.monotonic()
    venv.create(VENV, clear=bool(found) and not found.startswith(base()), with_pip=True, symlinks=True)
    STAMP.write_text(UNFINISHED)
    pip = [str(VENV / "bin/python"), "-m", "pip", "-qq", "--disable-pip-version-check", "install"]
    # Python compiles what it imports. To compile everything would take pip half as long again (96 s for 60 s of CPU).
    if subprocess.call([*pip, "--no-compile", "-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[dev]"]):
        print("zenfront: pip failed with the message above. Run the same command to try again.", file=sys.stderr)
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

"""Names of stored images: the same for the same images in the same form, another for any other."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from zenfront.pipeline.training.images.reading.rows import Cell, ImageFile, Rows, Stored

VERSION = 1
"""Version of the layout of a store."""


def store_name(rows: Rows, role: str, settings: Mapping[str, Any]) -> str:
    """Return the name of the folder of stored images.

    It depends on the settings and on each image in its order: on its bytes, or for a file on its path, its size and
    the time of its last change, since reading all files at every start would take as long as storing them.

    Args:
        rows: The images.
        role: The part, which begins the name.
        settings: How they are stored, as JSON values.
    """
    digest = hashlib.sha256(json.dumps([VERSION, role, settings], sort_keys=True).encode())
    containers = {id(each.container): each.container for each in rows.images if isinstance(each, Cell)}
    identities = {key: container.identity().encode() for key, container in containers.items()}
    for stored in rows.images:
        for part in _identity(stored, identities):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return f"{role}-{digest.hexdigest()[:20]}"


def _identity(stored: Stored, identities: Mapping[int, bytes]) -> tuple[bytes, ...]:
    if isinstance(stored, ImageFile):
        path = stored.root / stored.path
        try:
            found = path.stat()
        except (OSError, ValueError):  # the decoder says what is wrong with it
            return (str(path).encode(errors="surrogateescape"),)
        return str(path).encode(errors="surrogateescape"), f"{found.st_size} {found.st_mtime_ns}".encode()
    if isinstance(stored, Cell):
        return identities[id(stored.container)], stored.place.to_bytes(8, "little")
    if isinstance(stored, np.ndarray):
        return str(stored.shape).encode(), stored.tobytes()
    return (b"" if stored is None else stored,)

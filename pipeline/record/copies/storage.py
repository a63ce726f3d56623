"""Storage that outlives a machine: a mounted folder, S3, Google Cloud Storage, or what else pyarrow can access."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from zenfront.pipeline.experiment.addresses import shown
from zenfront.pipeline.record.files.whole_file import PARTIAL, write_whole

_WHOLE_OR_NOT = ("s3", "gcs", "abfs")
"""Object stores, in which a file appears when it is complete. Elsewhere files are written aside and renamed."""
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Storage:
    """Folder in a storage; a value that can be sent to workers. Paths below it are relative, with slashes.

    All methods raise OSError for every failure of the storage.

    Attributes:
        uri: ``s3://bucket/folder``, ``gs://...``, ``file:///folder``, or an absolute path. Credentials come from the
            environment of each process, never from here.
    """

    uri: str

    def __str__(self) -> str:
        return shown(self.uri)

    def __truediv__(self, name: str) -> "Storage":
        address, mark, options = self.uri.partition("?")
        return Storage(f"{address.rstrip('/')}/{name}{mark}{options}")

    def files(self, folder: str = "") -> dict[str, int]:
        """Return the sizes in bytes of all files below a folder, by path; empty if there is no such folder."""
        from pyarrow import fs

        with self._place() as (system, root):
            selector = fs.FileSelector(f"{root}/{folder}".rstrip("/"), allow_not_found=True, recursive=True)
            found = [info for info in system.get_file_info(selector) if info.type == fs.FileType.File]
            return {_below(info.path, root): info.size for info in found}

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, or None if there is no such file."""
        with self._place() as (system, root):
            if not system.get_file_info(f"{root}/{path}").is_file:
                return None
            with system.open_input_stream(f"{root}/{path}") as stream:
                content: bytes = stream.read()
                return content

    def write(self, path: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        with self._written(path) as stream:
            stream.write(content)

    def upload(self, source: Path, path: str) -> None:
        """Copy a local file to the storage, whole or not at all."""
        with source.open("rb") as file, self._written(path) as stream:
            shutil.copyfileobj(file, stream, _CHUNK)

    def download(self, path: str, target: Path) -> None:
        """Copy a file from the storage, whole or not at all."""
        with (
            self._place() as (system, root),
            system.open_input_stream(f"{root}/{path}") as stream,
            write_whole(target) as aside,
            aside.open("wb") as file,
        ):
            shutil.copyfileobj(stream, file, _CHUNK)

    def delete(self, path: str) -> None:
        """Delete a file, if there is one."""
        with self._place() as (system, root):
            if system.get_file_info(f"{root}/{path}").is_file:
                system.delete_file(f"{root}/{path}")

    @contextmanager
    def _written(self, path: str) -> Iterator[Any]:
        with self._place() as (system, root):
            target = f"{root}/{path}"
            if system.type_name in _WHOLE_OR_NOT:
                with system.open_output_stream(target) as stream:
                    yield stream
                return
            system.create_dir(str(PurePosixPath(target).parent), recursive=True)
            with system.open_output_stream(target + PARTIAL) as stream:
                yield stream
            system.move(target + PARTIAL, target)

    @contextmanager
    def _place(self) -> Iterator[tuple[Any, str]]:
        import pyarrow

        try:
            yield _open(self.uri)
        except pyarrow.ArrowException as error:  # a wrong address, an option that is unknown
            raise OSError(_one_line(error)) from error


@lru_cache(maxsize=8)
def _open(uri: str) -> tuple[Any, str]:
    from pyarrow import fs

    system, root = fs.FileSystem.from_uri(uri)
    return system, root.rstrip("/")


def _below(path: str, root: str) -> str:
    """Return the path relative to the root.

    Raises:
        OSError: The path leads out of the root, as a key in a bucket can.
    """
    relative = PurePosixPath(path).relative_to(root)
    if ".." in relative.parts:
        raise OSError(f"the name {path!r} leads out of its folder")
    return str(relative)


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))

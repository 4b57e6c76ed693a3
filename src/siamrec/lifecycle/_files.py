"""The files of a version: known by their content, and written back whole or not at all."""

from __future__ import annotations

import ast
import io
import json
import shutil
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from siamrec.errors import InvalidDataError, SiamrecError, StorageError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LONGEST_PATH = 400
_HEADER = 100_000_000  # bytes of a safetensors header, at most, as its authors have it


def of_folder(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by relative path.

    Raises:
        InvalidDataError: If it is no folder, holds a link out of it or to another folder, or
            something that is no file.
        StorageError: If a file cannot be read.
    """
    if not folder.is_dir():
        raise InvalidDataError(f"{folder} is not a folder.")
    inside = folder.resolve()
    found = {}
    try:
        for path in sorted(folder.rglob("*")):
            away = path.is_symlink() and not path.resolve().is_relative_to(inside)
            if away or (path.is_symlink() and not path.is_file()):
                raise InvalidDataError(
                    f"{shown(str(path))} is a link that leaves its folder or ends in another: "
                    "copy what it points at (cp -rL)."
                )
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
            elif not path.is_dir():
                raise InvalidDataError(f"{shown(str(path))} is no file.")
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error}.") from error
    return found


def checked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return files when every one has a path that stays inside and is what its name says.

    Raises:
        InvalidDataError: If there is none, or one is not.
    """
    if not files:
        raise InvalidDataError("A version needs at least one file.")
    paths = [PurePosixPath(_path(path)) for path in files]
    spelt = {str(path).casefold() for path in paths}
    folders = {str(above).casefold() for path in paths for above in path.parents}
    if len(spelt) < len(paths) or spelt & folders:
        raise InvalidDataError("Two files of a version would be written to one place.")
    for path, data in files.items():
        if not isinstance(data, bytes):
            raise InvalidDataError(f"{path} must be bytes, got {shown(data)}.")
        look = _KINDS.get(PurePosixPath(path).suffix)
        if look is None:
            kinds = ", ".join(sorted(_KINDS))
            raise InvalidDataError(f"{path} is of no safe kind; a version holds {kinds}.")
        try:
            look(data)
        except _BROKEN as why:
            raise InvalidDataError(f"{path} is not what its name says: {why}.") from why
    return dict(files)


def _path(path: object) -> str:
    text = path if isinstance(path, str) else ""
    parts = text.split("/")
    if (
        not 0 < len(text) <= _LONGEST_PATH
        or any(part in {"", ".", ".."} for part in parts)
        or any(sign in text for sign in "\\:")
        or not text.isprintable()
    ):
        raise InvalidDataError(
            f"A path of a version must be relative and stay in its folder, got {shown(path)}."
        )
    return text


def _is_text(data: bytes) -> None:
    if "\0" in data.decode("utf-8"):
        raise ValueError("it holds a NUL")


def _is_json(data: bytes) -> None:
    json.loads(data)


def _is_safetensors(data: bytes) -> None:
    (size,) = struct.unpack_from("<Q", data)
    if size > min(_HEADER, len(data) - 8):
        raise ValueError("its header is longer than the file")
    header = json.loads(data[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("its header is no mapping")  # noqa: TRY004 - one kind for all slips
    end = 0
    tensors = (value for name, value in header.items() if name != "__metadata__")
    try:
        for first, last in sorted(tensor["data_offsets"] for tensor in tensors):
            if first != end or last < first:
                raise ValueError("its tensors overlap or leave holes")
            end = last
    except (TypeError, KeyError) as error:
        raise ValueError("its header names no tensors") from error
    if 8 + size + end != len(data):
        raise ValueError(f"it should have {8 + size + end:,} bytes and has {len(data):,}")


def _is_npz(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        for name in packed.namelist():
            with packed.open(name) as member:
                _is_npy(member.read)
        if (broken := packed.testzip()) is not None:
            raise ValueError(f"{broken} is damaged")


def _is_npy(read: Callable[[int], bytes]) -> None:
    """Pass for the head of an array of numbers or texts: objects would be unpickled."""
    magic = read(8)
    if magic[:6] != b"\x93NUMPY":
        raise ValueError("a member is no array")
    (size,) = struct.unpack("<H", read(2)) if magic[6] == 1 else struct.unpack("<I", read(4))
    described = ast.literal_eval(read(min(size, 65_536)).decode("utf-8"))["descr"]
    if np.lib.format.descr_to_dtype(described).hasobject:
        raise ValueError("a member holds pickled objects")


_BROKEN = (
    ValueError, LookupError, TypeError, ArithmeticError, RuntimeError, SyntaxError, EOFError,
    OSError, MemoryError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What the readers above raise of bytes that are nothing they know."""

_KINDS: dict[str, Callable[[bytes], None]] = {
    ".json": _is_json,
    ".jsonl": _is_text,
    ".safetensors": _is_safetensors,
    ".txt": _is_text,
    ".md": _is_text,
    ".npz": _is_npz,
}


def written(
    target: Path, files: Callable[[], Iterator[tuple[str, bytes]]], paths: set[str]
) -> None:
    """Write files to a folder that is empty or holds exactly them: all of them, or none.

    Raises:
        InvalidDataError: If the folder holds something else.
        StorageError: If they cannot be written.
    """
    target = target.absolute()
    draft = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        if target.is_dir() and any(target.iterdir()):
            _same(target, files, paths)
            return
        for path, data in files():
            place = draft / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        try:
            draft.replace(target)
        except OSError:
            if not target.is_dir():
                raise
            if any(target.iterdir()):
                _same(target, files, paths)  # another process was faster
            else:
                _moved(draft, target)
    except SiamrecError:
        raise
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _moved(draft: Path, target: Path) -> None:
    """Move everything into an empty folder that cannot be replaced, such as a mount."""
    try:
        for child in draft.iterdir():
            shutil.move(child, target / child.name)
    except OSError:
        for child in target.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
        raise


def _same(target: Path, files: Callable[[], Iterator[tuple[str, bytes]]], paths: set[str]) -> None:
    there = {p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir()}
    if there == paths and all((target / path).read_bytes() == data for path, data in files()):
        return
    raise InvalidDataError(
        f"{target} must be empty or hold this very version; it holds "
        f"{', '.join(map(shown, sorted(there)[:3]))}{', …' if len(there) > 3 else ''}."
    )

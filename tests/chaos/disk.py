"""What SQLite does to its files, seen and spoilt from below: a VFS around the machine's own.

Every write, truncation, sync and deletion of SQLite in this process passes `Disk`, which can write
it down (`Disk.log`) or let it fail (`Disk.fault`). The methods of a file that the machine's VFS has
opened are replaced by ones that look first; all others stay. See https://sqlite.org/vfs.html and
sqlite3.h for the structures.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import sqlite3
from collections.abc import Callable, Iterator
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

Kind: TypeAlias = Literal["open", "read", "write", "truncate", "sync", "delete"]
OK = 0
FULL = 13
EIO: dict[Kind, int] = {
    "open": 14,
    "read": 10 | 1 << 8,
    "write": 10 | 3 << 8,
    "sync": 10 | 4 << 8,
    "truncate": 10 | 6 << 8,
    "delete": 10 | 10 << 8,
}
"""SQLite's codes for a call that the disk refused."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that changes a file, or makes sure of it, or a ``mark`` of the program above."""

    kind: Kind | Literal["mark"]
    name: str
    at: int = 0
    data: bytes = b""
    mark: Any = None


_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_Delete = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_Transfer = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(Structure):
    _fields_: ClassVar[Any] = [
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", _Open),
        ("delete", _Delete),
        *((f"method{number}", c_void_p) for number in range(14)),
    ]


class _Methods(Structure):
    _fields_: ClassVar[Any] = [
        ("version", c_int),
        ("close", c_void_p),
        ("read", _Transfer),
        ("write", _Transfer),
        ("truncate", _Truncate),
        ("sync", _Sync),
        *((f"method{number}", c_void_p) for number in range(13)),
    ]


class _File(Structure):
    _fields_: ClassVar[Any] = [("methods", POINTER(_Methods))]


Fault: TypeAlias = Callable[[Kind, str], int]
"""What a call of a kind on a file of that name returns instead of being done; 0 lets it pass."""


@dataclass
class Disk:
    """All SQLite files of this process, while `around` holds."""

    log: list[Operation] = field(default_factory=list)
    fault: Fault | None = None
    calls: int = 0
    """How many calls were made, of the kinds that may fail."""

    def mark(self, what: Any) -> None:
        """Note in the log where the program above is."""
        self.log.append(Operation("mark", "", mark=what))

    @contextlib.contextmanager
    def around(self) -> Iterator[Disk]:
        """Stand between SQLite and the machine for connections that are opened meanwhile."""
        library = ctypes.CDLL(_library())
        library.sqlite3_vfs_find.restype = POINTER(_Vfs)
        library.sqlite3_vfs_find.argtypes = [c_char_p]
        library.sqlite3_vfs_register.argtypes = [POINTER(_Vfs), c_int]
        library.sqlite3_vfs_unregister.argtypes = [POINTER(_Vfs)]
        own = library.sqlite3_vfs_find(None)
        vfs = _Vfs.from_buffer_copy(own.contents)
        vfs.name = b"edgestream-chaos"
        files: dict[int, str] = {}
        tables: dict[int, _Methods] = {}
        vfs.open = _Open(self._opening(own, files, tables))
        vfs.delete = _Delete(self._deleting(own))
        library.sqlite3_vfs_register(ctypes.pointer(vfs), 1)
        try:
            yield self
        finally:
            library.sqlite3_vfs_unregister(ctypes.pointer(vfs))
            library.sqlite3_vfs_register(own, 1)

    def _asked(self, kind: Kind, name: str) -> int:
        self.calls += 1
        return self.fault(kind, name) if self.fault is not None else OK

    def _opening(self, own: Any, files: dict[int, str], tables: dict[int, _Methods]) -> Any:
        def opened(_: int, name: int, file: int, flags: int, out: int) -> int:
            text = ctypes.string_at(name).decode() if name else ""
            refused = self._asked("open", text)
            if refused:
                _File.from_address(file).methods = POINTER(_Methods)()
                return refused
            code: int = own.contents.open(ctypes.addressof(own.contents), name, file, flags, out)
            if code == OK and text:
                files[file] = Path(text).name
                methods = _File.from_address(file)
                where = ctypes.addressof(methods.methods.contents)
                if where not in tables:
                    tables[where] = self._table(methods.methods.contents, files)
                methods.methods = ctypes.pointer(tables[where])
            return code

        return opened

    def _deleting(self, own: Any) -> Any:
        def deleted(_: int, name: bytes, sync: int) -> int:
            refused = self._asked("delete", name.decode())
            if refused:
                return refused
            self.log.append(Operation("delete", Path(name.decode()).name))
            code: int = own.contents.delete(ctypes.addressof(own.contents), name, sync)
            return code

        return deleted

    def _table(self, own: _Methods, files: dict[int, str]) -> _Methods:
        table = _Methods.from_buffer_copy(own)

        def read(file: int, data: int, size: int, at: int) -> int:
            code: int = self._asked("read", files[file]) or own.read(file, data, size, at)
            return code

        def write(file: int, data: int, size: int, at: int) -> int:
            refused = self._asked("write", files[file])
            if refused:
                return refused
            self.log.append(Operation("write", files[file], at, ctypes.string_at(data, size)))
            code: int = own.write(file, data, size, at)
            return code

        def truncate(file: int, size: int) -> int:
            refused = self._asked("truncate", files[file])
            if refused:
                return refused
            self.log.append(Operation("truncate", files[file], size))
            code: int = own.truncate(file, size)
            return code

        def sync(file: int, flags: int) -> int:
            refused = self._asked("sync", files[file])
            if refused:
                return refused
            code: int = own.sync(file, flags)
            self.log.append(Operation("sync", files[file]))
            return code

        table.read, table.write = _Transfer(read), _Transfer(write)
        table.truncate, table.sync = _Truncate(truncate), _Sync(sync)
        return table


def _library() -> str:
    """The SQLite that Python's own module uses; raises where it is not a shared library."""
    sqlite3.connect(":memory:").close()
    found = re.search(r"\S*libsqlite3\.so\S*", Path("/proc/self/maps").read_text())
    assert found, "this Python carries SQLite inside itself: nothing can stand below it"
    return found[0]

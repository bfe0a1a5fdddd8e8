"""The guest's files as an initramfs: busybox, this Python, masthead and all that they need."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from stat import S_IFDIR, S_IFREG
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INTERPRETER: Final = Path(sys.executable).resolve()

PACKAGES: Final = "/packages"
"""Where the guest has masthead and the distributions that it needs; all else is where it is here."""

_HERE: Final = Path(__file__).parent
_TESTS: Final = _HERE.parents[1]
_EMPTY: Final = ("/dev", "/proc", "/run", "/sys", "/tmp")

_LEFT_OUT: Final = re.compile(
    r"config-.*|ensurepip|idlelib|lib2to3|pydoc_data|test|tests|tkinter|turtledemo|(site|dist)-packages"
    r"|_(curses|dbm|gdbm|sqlite3|test|tkinter).*\.so|.*\.opt-.\.pyc"
)
"""Parts of Python that nothing in the guest imports: large, or in need of further libraries."""


def write_image(image: IO[bytes], busybox: Path, more: Iterable[Path]) -> None:
    """Write the initramfs, with more files at its root."""
    files = {"/init": _HERE / "init", "/bin/busybox": busybox, str(INTERPRETER): INTERPRETER}
    files |= {str(file): file for file in _below(Path(sysconfig.get_path("stdlib")))}
    files |= {f"/{file.name}": file for file in more}
    files |= _packages()
    files |= {str(file): file for file in _libraries(files.values())}
    archive = _Archive(image)
    for place in _EMPTY:
        archive.add_directory(place)
    for place, file in files.items():
        archive.add_file(place, file)
    archive.end()


def _packages() -> dict[str, Path]:
    """Return masthead where it is imported from, the distributions it needs, and the tests' modules for the guest."""
    spec = importlib.util.find_spec("masthead")
    assert spec
    assert spec.origin
    rooms = {"masthead": Path(spec.origin).parent, "tests/e2e": _TESTS / "e2e", "tests/kernel/guest": _HERE}
    found = {f"{PACKAGES}/{room}/{file.relative_to(at)}": file for room, at in rooms.items() for file in _below(at)}
    for distribution in _needed():
        for file in distribution.files or ():
            here = Path(str(distribution.locate_file(file)))
            if file.parts[0] != ".." and file.suffix != ".pth" and here.is_file():
                found.setdefault(f"{PACKAGES}/{file}", here)
    return found


def _needed() -> Iterator[metadata.Distribution]:
    """Return masthead's distribution and those that it can't do without."""
    wanted, seen = ["masthead"], set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # one for other systems
            continue
        yield distribution
        needs = [entry for entry in distribution.requires or () if "extra ==" not in entry]
        wanted += [re.split(r"[^\w.-]", entry, maxsplit=1)[0] for entry in needs]


def _below(directory: Path) -> Iterator[Path]:
    for entry in directory.iterdir():
        if _LEFT_OUT.fullmatch(entry.name):
            continue
        if entry.is_dir():
            yield from _below(entry)
        elif entry.is_file():
            yield entry


def _libraries(files: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that some files load, the loader among them."""
    binaries = [str(file) for file in files if file.suffix == ".so" or file == INTERPRETER]
    told = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
    return {Path(path) for path in re.findall(r"^\t(?:\S+ => )?(/\S+) \(0x", told, re.MULTILINE)}


class _Archive:
    """A cpio archive as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._entries = 0
        self._directories = {"/"}

    def add_file(self, place: str, file: Path) -> None:
        self._add_parent(place)
        status = file.stat()
        # Byte code counts only if its source has the time that it had.
        self._add(place, S_IFREG | 0o755, int(status.st_mtime), file.read_bytes())

    def add_directory(self, place: str) -> None:
        if place in self._directories:
            return
        self._add_parent(place)
        self._directories.add(place)
        self._add(place, S_IFDIR | 0o755)

    def end(self) -> None:
        self._add("/TRAILER!!!", 0)

    def _add_parent(self, place: str) -> None:
        self.add_directory(str(Path(place).parent))

    def _add(self, place: str, mode: int, time: int = 0, content: bytes = b"") -> None:
        self._entries += 1
        name = place.lstrip("/").encode() + b"\0"
        # Number, mode, owner, group, links, time, size, device (2), device meant (2), length of the name, checksum.
        fields = (self._entries, mode, 0, 0, 1, time, len(content), 0, 0, 0, 0, len(name), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        for part in (header, content):
            self._output.write(part + bytes(-len(part) % 4))

"""Debian 12's kernel in an emulated machine, of which nothing is left when it has reported or its time is over."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.e2e.tls_servers import make_certificate
from tests.kernel.guest.image import INTERPRETER, write_image

_QEMU: Final = "qemu-system-x86_64"
_COMMANDS: Final = {
    _QEMU: "qemu-system-x86",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "ldd": "libc-bin",
    "openssl": "openssl",
    "setpriv": "util-linux",
}
"""What this takes, and the packages that bring it."""

DEADLINE: Final = 300.0
"""Seconds for downloads and the guest's life together; a minute is usual."""

_STOCK: Final = "linux-image-cloud-amd64"
_RELEASE: Final = "linux-image-6.1."


class UnavailableError(Exception):
    """This host can't run the guest; its text says why."""


def boot() -> dict[str, Any]:
    """Run the guest and return its report (see inside.py).

    Raises:
        UnavailableError: Something that this takes can't be had here.
    """
    end = time.monotonic() + DEADLINE
    if platform.machine() != "x86_64":
        raise UnavailableError(f"the guest shares this host's programs, and is no {platform.machine()} machine")
    for command, package in _COMMANDS.items():
        if not shutil.which(command):
            raise UnavailableError(f"no {command} here (Debian: apt-get install {package})")
    with TemporaryDirectory(prefix="masthead-guest-") as name:
        directory = Path(name)
        stock = _unpacked(_kernel_package(end), directory / "kernel", end)
        busybox = _unpacked("busybox-static", directory / "busybox", end) / "bin/busybox"
        image = directory / "initramfs"
        with image.open("wb") as file:
            write_image(file, busybox, make_certificate(directory))
        (kernel,) = (stock / "boot").glob("vmlinuz-*")
        return _emulate(kernel, image, directory, end)


def _emulate(kernel: Path, image: Path, directory: Path, end: float) -> dict[str, Any]:
    words, console, report = directory / "words", directory / "console", directory / "report"
    command = [
        # However this process ends: the machine ends with it.
        *("setpriv", "--pdeathsig", "KILL", _QEMU, "-nodefaults", "-display", "none", "-no-reboot"),
        *("-machine", "pc,accel=tcg", "-cpu", "max", "-m", "1024"),
        *("-kernel", str(kernel), "-initrd", str(image)),
        *("-append", f"console=ttyS0 quiet panic=-1 PYTHON={INTERPRETER}"),
        *("-serial", f"file:{console}", "-serial", f"file:{report}"),
    ]
    try:
        with words.open("wb") as file:
            left = max(end - time.monotonic(), 1)
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=left, check=True)
        return dict(json.loads(report.read_text()))
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        told = [file.read_text(errors="replace")[-4000:] for file in (words, console, report) if file.exists()]
        raise AssertionError("\n".join(["the guest did not report", *told])) from error


def _kernel_package(end: float) -> str:
    """Return the name of the kernel that Debian 12 boots in virtual machines: it has no drivers that count here."""
    told = _output(["apt-cache", "depends", "--important", _STOCK], end)
    names = [name for name in told.split() if name.startswith(_RELEASE)]
    if not names:
        raise UnavailableError(
            f"apt's lists have no {_STOCK} that is {_RELEASE}* (is this Debian 12, after apt-get update?)"
        )
    return names[0]


def _unpacked(package: str, directory: Path, end: float) -> Path:
    """Unpack a Debian package, from the cache once it was downloaded; nothing is installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "masthead/debian"
    directory.mkdir()
    if not list(cache.glob(f"{package}_*.deb")):
        _output(["apt-get", "download", package], end, directory)
        (archive,) = directory.glob("*.deb")
        cache.mkdir(parents=True, exist_ok=True)
        shutil.move(archive, cache / archive.name)
    archive = max(cache.glob(f"{package}_*.deb"))
    _output(["dpkg-deb", "--extract", str(archive), str(directory)], end)
    return directory


def _output(command: list[str], end: float, directory: Path | None = None) -> str:
    left = max(end - time.monotonic(), 1)
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=left, check=True)
    except subprocess.CalledProcessError as error:
        raise UnavailableError(f"{' '.join(command)} failed: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{' '.join(command)} took too long") from error
    return done.stdout

"""The secret under which values become pseudonyms: one per installation, made at first need, shared by a fleet.

The file holds one line of hexadecimal digits, so that it can be copied to the other hosts of a fleet as text; then
the same token has the same pseudonym everywhere.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_KEY = Path("/var/lib/masthead/key")
KEY_BYTES = 32
# Less than this can be guessed: a pseudonym would then give its secret away.
SHORTEST = 16


def key_path(configured: str, environ: Mapping[str, str], *, root: bool) -> Path:
    """Tell where the key lies: as configured, else the system's for root, else the user's own.

    Args:
        configured: `redact.key_file`; empty for the default.
        environ: For XDG_STATE_HOME and HOME.
        root: Whether the process may keep the system's key.
    """
    if configured:
        return Path(configured)
    if root:
        return SYSTEM_KEY
    state = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".local/state")
    return Path(state) / "masthead" / "key"


def read_or_create(path: Path) -> tuple[bytes, bool]:
    """Give the key, and whether it had to be made.

    Raises:
        ConfigError: It can't be read or made, others may read it, or it is no key.
    """
    try:
        return _read(path), False
    except FileNotFoundError:
        return _create(path)
    except OSError as error:
        raise _unusable(path, error) from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        text = file.read(4096)
    if mode & 0o077:
        what = f"the key of the pseudonyms can be read by others (mode {mode:04o})"
        raise ConfigError(what, str(path), f"chmod 600 {path}; if others may have read it, delete it for a new one")
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except (UnicodeDecodeError, ValueError):
        key = b""
    if len(key) < SHORTEST:
        what = f"not a key: expected one line of at least {2 * SHORTEST} hexadecimal digits"
        raise ConfigError(what, str(path), f"make one with: openssl rand -hex {KEY_BYTES} > {path}")
    return key


def _create(path: Path) -> tuple[bytes, bool]:
    """Make the key so that no reader ever sees half of it, and of two that make one at a time the first wins."""
    key = os.urandom(KEY_BYTES)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, key.hex().encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            return _read(path), False
    except OSError as error:
        raise _unusable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return key, True


def _unusable(path: Path, error: OSError) -> ConfigError:
    what = f"no key for the pseudonyms: {error.strerror or error}"
    return ConfigError(what, str(path), "set redact.key_file (--key-file) to a file that this user can read or make")

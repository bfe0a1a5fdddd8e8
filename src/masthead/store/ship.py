"""Copies finished parts to object storage with an S3 interface, as they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from masthead.errors import NotSupportedError, OutputError, UsageError
from masthead.extension import native
from masthead.store.compaction import merges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from obstore.store import S3Store

    from masthead.store.layout import Part
    from masthead.store.snapshot import Open

# A bucket that does not answer is given up on; the next run goes on where this one ended.
_RETRIES = 4
_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: `s3://bucket/prefix`.

    Attributes:
        bucket: The bucket.
        prefix: What stands before each part's place; may be empty.
    """

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read it.

        Raises:
            UsageError: It is no such address.
        """
        found = urlsplit(text)
        if found.scheme != "s3" or not found.netloc or found.query or found.fragment or "@" in found.netloc:
            remedy = "write s3://bucket/prefix; credentials come from the environment (AWS_ACCESS_KEY_ID, ...)"
            raise UsageError("not the address of a bucket", text, remedy)
        return cls(found.netloc, found.path.strip("/"))


def finished(parts: Iterable[Part], current_hour: str) -> list[Part]:
    """Give the parts whose hour is over and that will not be merged any more, oldest first."""
    parts = sorted(parts)
    waiting = {part for run in merges(parts, current_hour) for part in run}
    return [part for part in parts if part.hour < current_hour and part not in waiting]


def missing(parts: Iterable[Part], present: Mapping[str, int]) -> list[Part]:
    """Give the parts that are not there with their whole size.

    A part's name has its rows and its checksum: what has its name and its size is the part.
    """
    return [part for part in parts if present.get(part.place) != part.bytes]


class Bucket:
    """A bucket that parts are copied to.

    Args:
        target: Where.
        endpoint: Of another service than Amazon's, such as `https://minio.example:9000`.
        region: The region; without it the environment's, else `us-east-1`.

    Raises:
        NotSupportedError: The library is not installed.
        OutputError: The settings can't be used.
    """

    def __init__(self, target: Target, endpoint: str | None = None, region: str | None = None) -> None:
        try:
            from obstore.store import S3Store  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            remedy = "pip install 'masthead[s3]'"
            raise NotSupportedError("shipping needs the library obstore", remedy=remedy) from error
        self._target = target
        named = {name: value for name, value in (("endpoint", endpoint), ("region", region)) if value}
        try:
            self._store: S3Store = S3Store(
                target.bucket,
                prefix=target.prefix or None,
                client_options={"allow_http": bool(endpoint and endpoint.startswith("http://"))},
                retry_config={"max_retries": _RETRIES, "retry_timeout": _PATIENCE},
                **named,  # type: ignore[arg-type]
            )
        except Exception as error:
            raise self._failed(error) from error

    def present(self) -> dict[str, int]:
        """Give what is there: place to size.

        Raises:
            OutputError: The bucket can't be listed.
        """
        import obstore  # noqa: PLC0415

        try:
            return {found["path"]: found["size"] for some in obstore.list(self._store, "parts") for found in some}
        except Exception as error:
            raise self._failed(error) from error

    def copy(self, held: Open) -> bool:
        """Copy a part; tells whether its bytes were what was written. A damaged one is not copied.

        Raises:
            OutputError: It could not be copied.
        """
        import obstore  # noqa: PLC0415

        if native().checksum(held.path) != held.part.crc:
            return False
        try:
            with Path(held.path).open("rb") as file:
                obstore.put(self._store, held.part.place, file)
            size = obstore.head(self._store, held.part.place)["size"]
        except Exception as error:
            raise self._failed(error) from error
        if size != held.part.bytes:
            what = f"{held.part.place} has {size:,} bytes there instead of {held.part.bytes:,}"
            raise OutputError(what, self._place(), "try again: it is copied anew")
        return True

    def _failed(self, error: Exception) -> OutputError:
        text = str(error)
        if "NoSuchBucket" in text:
            return OutputError("there is no such bucket", self._place(), "make it, or name another")
        if "403 Forbidden" in text or "401 Unauthorized" in text:
            remedy = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do (list, get, put)"
            return OutputError("access denied", self._place(), remedy)
        reason = text.split("Debug source", maxsplit=1)[0].split("<?xml", maxsplit=1)[0].strip() or type(error).__name__
        return OutputError(reason, self._place(), "check --endpoint, --region and the network; then run it again")

    def _place(self) -> str:
        return f"s3://{self._target.bucket}/{self._target.prefix}"

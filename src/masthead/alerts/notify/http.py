"""JSON to a URL: webhook, Slack and Alertmanager share this."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from masthead.alerts.notify.post import RefusedError
from masthead.alerts.notify.secret import secret
from masthead.config.units import age_seconds
from masthead.errors import OutputError

if TYPE_CHECKING:
    from masthead.config.alerts import HttpReceiver

_AGAIN = (408, 425, 429)
_OK, _CLIENT, _SERVER = 300, 400, 500


class Poster:
    """Posts JSON as the settings of a receiver say.

    Args:
        settings: URL, credentials, certificate, time limit.
    """

    def __init__(self, settings: HttpReceiver) -> None:
        self._settings = settings

    def post(self, body: object, path: str = "") -> None:
        """Post a body, below the URL.

        Raises:
            OutputError: It did not get there, or the answer says to try again.
            RefusedError: The answer says not to.
        """
        import urllib3  # noqa: PLC0415 - takes a quarter of a second to import, and only who is told of something pays

        settings = self._settings
        url = settings.url or secret(settings.url_file, settings.url_env) or ""
        headers = {"content-type": "application/json", "user-agent": "masthead", **self._authorization()}
        pool: Any = urllib3.PoolManager(retries=False, ca_certs=settings.ca_file or None)
        try:
            data = json.dumps(body).encode()
            answer = pool.request(
                "POST",
                url.rstrip("/") + path if path else url,
                body=data,
                headers=headers,
                timeout=age_seconds(settings.timeout),
                redirect=False,
            )
            status, said = answer.status, answer.data[:200].decode(errors="replace")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # The URL itself may be the secret: only its host is told.
            raise OutputError(f"{_host(url)}: {type(error).__name__}: {_without(str(error), url)}") from error
        except ValueError as error:
            # It says what can't be sent, which may be the secret.
            what = f"{_host(url)}: the address or a field of the settings can't be sent ({type(error).__name__})"
            raise RefusedError(what) from None
        finally:
            pool.clear()
        if status < _OK:
            return
        what = f"{_host(url)} answered {status}: {said}"
        if _CLIENT <= status < _SERVER and status not in _AGAIN:
            raise RefusedError(what)
        raise OutputError(what)

    def _authorization(self) -> dict[str, str]:
        import urllib3  # noqa: PLC0415 - as above

        settings = self._settings
        token = secret(settings.token_file, settings.token_env)
        if token:
            return {"authorization": f"Bearer {token}"}
        if settings.user:
            password = secret(settings.password_file, settings.password_env) or ""
            return dict(urllib3.make_headers(basic_auth=f"{settings.user}:{password}"))
        return {}


def _host(url: str) -> str:
    return url.split("://", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1]


def _without(text: str, url: str) -> str:
    path = url.split("://", 1)[-1].partition("/")[2]
    return text.replace(path, "...") if path else text

"""Mail by SMTP (RFC 5321), encrypted unless told otherwise."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

from masthead.alerts.notify.post import RefusedError
from masthead.alerts.notify.secret import secret
from masthead.config.units import age_seconds
from masthead.errors import OutputError

if TYPE_CHECKING:
    from masthead.alerts.notify.notice import Notice
    from masthead.config.alerts import SmtpReceiver

_PERMANENT = 500


class Smtp:
    """Sends notices as mail."""

    def __init__(self, settings: SmtpReceiver) -> None:
        self._settings = settings

    def deliver(self, notice: Notice) -> None:
        """Send it to all addresses.

        Raises:
            OutputError: The server was not reached or could not take it now.
            RefusedError: The server will not have it.
        """
        try:
            with self._connected() as server:
                server.send_message(self._message(notice))
        except smtplib.SMTPResponseException as error:
            said = (
                error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            what = f"{self._settings.host} answered {error.smtp_code}: {said}"
            raise (RefusedError if error.smtp_code >= _PERMANENT else OutputError)(what) from error
        except (smtplib.SMTPException, OSError) as error:
            raise OutputError(f"{self._settings.host}: {type(error).__name__}: {error}") from error

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        timeout = age_seconds(settings.timeout) or 30
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=timeout)
        try:
            if settings.tls == "starttls":
                server.starttls(context=context)
            if settings.user:
                server.login(settings.user, secret(settings.password_file, settings.password_env) or "")
        except BaseException:
            server.close()
            raise
        return server

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        # A header field is one line, whatever an alert's name holds.
        message["Subject"] = " ".join(notice.title.split())
        message["From"] = self._settings.from_
        message["To"] = ", ".join(self._settings.to)
        message["Date"] = formatdate(notice.at_ns / 1e9)
        message["Message-ID"] = make_msgid(domain="masthead.invalid")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(notice.text)
        return message

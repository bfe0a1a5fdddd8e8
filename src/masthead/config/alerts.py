"""The settings of alerts, `[alerts]`, and the form of rule files."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from masthead.config.section import Age, Many, Pattern, Section
from masthead.config.units import age_seconds

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
MATCHER = re.compile(r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:\\.|[^"\\])*)"\s*""")


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value) or value.startswith("__"):
        message = "should be a label: letters, digits and _, no digit first, such as severity"
        raise ValueError(message)
    return value


def _own_label(value: str) -> str:
    if value == "alertname":
        message = 'should be another label: "alertname" is the rule\'s name'
        raise ValueError(message)
    return _label(value)


def _matcher(value: str) -> str:
    found = MATCHER.fullmatch(value)
    if not found:
        message = """should be a label, a sign and a text, such as 'severity="page"' or 'route=~"/v1/.*"'"""
        raise ValueError(message)
    if "~" in found[2]:
        try:
            re.compile(found[3])
        except re.error as error:
            message = f"should have a regular expression behind {found[2]} ({error})"
            raise ValueError(message) from None
    return value


def _time(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        message = 'should be a time with its offset, such as "2026-12-24T18:00:00+01:00"'
        raise ValueError(message)
    return value


def time_zone(name: str) -> tzinfo:
    """Give a time zone; UTC also where the system has no list of zones.

    Raises:
        ZoneInfoNotFoundError: There is none of this name.
    """
    return UTC if name == "UTC" else ZoneInfo(name)


def _zone(value: str) -> str:
    try:
        time_zone(value)
    except (ValueError, OSError, KeyError):
        message = 'should be a time zone, such as "UTC" or "Europe/Berlin"'
        raise ValueError(message) from None
    return value


def _span(value: str) -> str:
    if not age_seconds(value):
        message = 'should be a time that ends, longer than 0, such as "15s"'
        raise ValueError(message)
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+\S*", value):
        message = 'should be a URL, such as "https://alerts.example/hook"'
        raise ValueError(message)
    return value


Label: TypeAlias = Annotated[str, AfterValidator(_label)]
OwnLabel: TypeAlias = Annotated[str, AfterValidator(_own_label)]
Matcher: TypeAlias = Annotated[str, AfterValidator(_matcher)]
Span: TypeAlias = Annotated[str, AfterValidator(_span)]
Url: TypeAlias = Annotated[str, AfterValidator(_url)]
Time: TypeAlias = Annotated[str, AfterValidator(_time)]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Receiver(Section):
    """Someone who is told: of which alerts, and whether also of their end."""

    name: Name
    match: Many[Matcher] = ()
    send_resolved: bool = True


class HttpReceiver(Receiver):
    """A receiver behind a URL; what is secret stands in a file or in a variable of the environment."""

    url: Url | None = None
    url_file: str = ""
    url_env: str = ""
    token_file: str = ""
    token_env: str = ""
    user: str = ""
    password_file: str = ""
    password_env: str = ""
    ca_file: str = ""
    timeout: Span = "10s"

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if sum(map(bool, (self.url, self.url_file, self.url_env))) != 1:
            message = "should have one of url, url_file and url_env"
            raise ValueError(message)
        return self


class SmtpReceiver(Receiver):
    """Mail."""

    host: Pattern
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str = ""
    user: str = ""
    password_file: str = ""
    password_env: str = ""
    from_: Annotated[Pattern, Field(alias="from")]
    to: Annotated[Many[Pattern], Field(min_length=1)]
    timeout: Span = "30s"


class ExecReceiver(Receiver):
    """A program, started without a shell; the notification comes on its standard input."""

    command: Annotated[Many[Pattern], Field(min_length=1)]
    timeout: Span = "10s"


class Silence(Section):
    """Alerts that nobody is told of, until then."""

    match: Annotated[Many[Matcher], Field(min_length=1)]
    until: Time
    comment: str = ""


class Alerts(Section):
    """Which rules there are, how often they are asked, and who is told how often."""

    rules: Many[Pattern] = ()
    state: Pattern = "/var/lib/masthead/alerts"
    interval: Span = "15s"
    grace: Age = "5s"
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    external_labels: dict[OwnLabel, str] = Field(default_factory=dict)
    external_url: str = ""
    group_by: Many[Label] = ("alertname",)
    group_wait: Age = "30s"
    group_interval: Span = "5m"
    repeat_interval: Span = "4h"
    alertmanager: Many[HttpReceiver] = ()
    webhook: Many[HttpReceiver] = ()
    slack: Many[HttpReceiver] = ()
    smtp: Many[SmtpReceiver] = ()
    exec: Many[ExecReceiver] = ()
    silence: Many[Silence] = ()

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        names = [one.name for one in self.receivers()]
        for name in names:
            if names.count(name) > 1:
                message = f'should name each receiver differently ("{name}" stands twice)'
                raise ValueError(message)
        return self

    def receivers(self) -> tuple[Receiver, ...]:
        """Give every receiver."""
        return (*self.alertmanager, *self.webhook, *self.slack, *self.smtp, *self.exec)


class Rule(Section):
    """A rule, with Prometheus' words."""

    alert: Name
    expr: Pattern
    for_: Annotated[Age, Field(alias="for")] = "0s"
    keep_firing_for: Age = "0s"
    labels: dict[OwnLabel, str] = Field(default_factory=dict)
    annotations: dict[Label, str] = Field(default_factory=dict)


class Group(Section):
    """Rules that are asked one after the other, at the same times."""

    name: Pattern
    interval: Span | None = None
    rule: Annotated[Many[Rule], Field(min_length=1)]


class RuleFile(Section):
    """A file of rules."""

    group: Annotated[Many[Group], Field(min_length=1)]

"""Where a time stands in the week of a place: what is usual on Monday at nine is so by the clocks of those who call."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from masthead.alerts.baseline import Hour, Moment

_HOUR = 3_600
_WEEK_HOURS = 168
# 1 January 1970 was a Thursday, and weeks begin on Monday.
_THURSDAY = 72


class Calendar:
    """The hours of a time zone.

    Args:
        zone: The zone.
    """

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._hour = -1
        self._offset = 0

    def moment(self, time_ns: int) -> Moment:
        """Give the hour of the week of a time (nanoseconds since 1970), and how far into it."""
        seconds = time_ns / 1e9
        if int(seconds) // _HOUR != self._hour:
            self._hour = int(seconds) // _HOUR
            offset = datetime.fromtimestamp(self._hour * _HOUR, self._zone).utcoffset()
            self._offset = int(offset.total_seconds()) if offset else 0
        number, into = divmod(seconds + self._offset, _HOUR)
        return Moment(Hour(int(number), (int(number) + _THURSDAY) % _WEEK_HOURS), into / _HOUR)

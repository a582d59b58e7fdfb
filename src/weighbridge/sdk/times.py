"""Times as people and W&B's scripts read them. It never asks a clock."""

from __future__ import annotations

import datetime


def iso(seconds: float | None) -> str | None:
    """ISO 8601 in UTC with milliseconds, such as `2026-05-03T10:00:00.000Z`; None for None."""
    if seconds is None:
        return None
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def seconds(moment: float | str | datetime.datetime | datetime.date) -> float:
    """Unix seconds of a number, an ISO text, a datetime, or a date (its last moment); UTC by default."""
    if isinstance(moment, int | float):
        return float(moment)
    if isinstance(moment, str):
        parsed = datetime.datetime.fromisoformat(moment)
        moment = parsed.date() if len(moment) <= 10 else parsed
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime.combine(moment, datetime.time.max)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()

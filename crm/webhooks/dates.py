"""Moments as events write them, and gomega's answers too."""

from datetime import UTC, datetime


def gomega_datetime(moment: datetime) -> str:
    """`2031-03-16T00:19:50.141Z`"""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

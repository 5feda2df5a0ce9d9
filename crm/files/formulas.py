"""Texts that a spreadsheet would take for formulas, made harmless in a way that can be taken back.

A spreadsheet computes a cell that begins with one of `TRIGGERS`, whoever wrote the text (OWASP, "CSV Injection").
Such a text gets a quote in front; so does one of quotes and then a trigger, or taking it back would be guesswork.
"""

import re

TRIGGERS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_QUOTE = "'"
FIRST = frozenset((_QUOTE, *TRIGGERS))  # what a text begins with that `guard` or `guard_phone` may change
_PHONE = re.compile(r"\+[0-9]{7,15}")  # E.164: a plus and digits compute nothing


def guard(text: str) -> str:
    """`text` with one quote in front if it begins with any number of quotes and then a trigger."""
    if text[:1] in FIRST and text.lstrip(_QUOTE)[:1] in TRIGGERS:
        return _QUOTE + text
    return text


def unguard(text: str) -> str:
    """What was given to `guard`."""
    if text[:1] == _QUOTE and text.lstrip(_QUOTE)[:1] in TRIGGERS:
        return text[1:]
    return text


def guard_phone(text: str) -> str:
    """As `guard`, for columns of phone numbers: one in international form stays as it is."""
    return text if _PHONE.fullmatch(text) else guard(text)

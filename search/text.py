"""What a word is, on Python's side. The database's side is `drover_words`, made of the same ranges (migration 0001).

A word is a run of letters, digits and their marks, in NFC and simple lower case; everything else separates.
"""

import unicodedata
from bisect import bisect_right
from functools import cache

from search.unicode_ranges import LETTERS_AND_DIGITS, MARKS, SPACELESS, pairs


class _Ranges:
    def __init__(self, text: str) -> None:
        self._first, self._last = zip(*pairs(text), strict=True)

    def __contains__(self, character: str) -> bool:
        code = ord(character)
        place = bisect_right(self._first, code) - 1
        return place >= 0 and code <= self._last[place]


_letters, _marks, _spaceless = _Ranges(LETTERS_AND_DIGITS), _Ranges(MARKS), _Ranges(SPACELESS)


@cache
def _lower(character: str) -> str:
    # Simple lower case, as the database's `pg_c_utf8` has it: one character for one ("İ" becomes "i", a final sigma σ).
    return character.lower()[0]


def fold(text: str) -> str:
    """The form in which texts are compared: NFC, then lower case. Accents stay."""
    return "".join(map(_lower, unicodedata.normalize("NFC", text)))


def words(text: str) -> list[str]:
    """The words of `text` in their order, repeated ones too."""
    found: list[str] = []
    word: list[str] = []
    for character in fold(text):
        if character in _letters or (word and character in _marks):
            word.append(character)
        elif word:
            found.append("".join(word))
            word = []
    if word:
        found.append("".join(word))
    return found


def is_spaceless(word: str) -> bool:
    """Whether `word` holds a character of a script without spaces: then it is looked for inside words, not as one."""
    return any(character in _spaceless for character in word)

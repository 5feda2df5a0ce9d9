"""The delimiter of a CSV file, found in its header alone: data may hold more of any other."""

from collections import Counter
from collections.abc import Iterable

DELIMITERS = (",", "\t", ";", "|")


def find_delimiter(lines: Iterable[str], longest: int) -> str:
    """The one that stands most often outside of quotes in the first row that is not blank; a comma if none does.

    Reads no more than `longest` characters: a quote that nobody closes makes the file one row.
    """
    counts: Counter[str] = Counter()
    n_characters, is_quoted, before = 0, False, ""
    for line in lines:
        if not n_characters and not line.strip():
            continue
        n_characters += len(line)
        for character in line:
            if is_quoted:
                is_quoted = character != '"'
            elif character == '"':
                # A quote opens at the start of a cell, or goes on behind the first half of a doubled one.
                is_quoted = before in ("", '"', *DELIMITERS)
            elif character in DELIMITERS:
                counts[character] += 1
            before = character
        if not is_quoted or n_characters > longest:
            break
    return max(DELIMITERS, key=lambda delimiter: counts[delimiter])

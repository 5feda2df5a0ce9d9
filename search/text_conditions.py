"""Text conditions in SQL: over one value, over one element of a list, over all that an object says.

A value is compared as its words with single spaces around them, so that LIKE tells whole words, beginnings and
neighbours apart; words hold no character that LIKE knows. Words in scripts without spaces are looked for inside words.
The text index (`prefilter`) comes before all this and only spares leads the test.
"""

from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, Expression, Q, Value

from search.expressions import (
    ELEMENT,
    FALSE,
    AnyElement,
    Folded,
    HasPhrase,
    Lines,
    Says,
    Test,
    Words,
    text_array,
    text_value,
)
from search.nodes import Mode
from search.text import is_spaceless, words


def in_text(value: Expression, mode: Mode, text: str) -> Expression:
    """Whether a text matches. A word mode without any word matches nothing."""
    if mode is Mode.EXACT_VALUE:
        return Test(Folded(value), "=", Folded(text_value(text)))
    wanted = words(text)
    if not wanted:
        return FALSE
    match mode:
        case Mode.FULL_WORDS:
            return _like(value, [f"%{word}%" if is_spaceless(word) else f"% {word} %" for word in wanted])
        case Mode.BEGINNING_OF_WORDS:
            return _like(value, [f"%{word}%" if is_spaceless(word) else f"% {word}%" for word in wanted])
        case Mode.PHRASE:
            inside = [is_spaceless(word) for word in wanted]
            if not any(inside):
                return _like(value, [f"% {' '.join(wanted)} %"])
            return HasPhrase(Words(value), text_array(wanted), Value(inside, output_field=ArrayField(BooleanField())))


def in_element(mode: Mode, text: str) -> Expression:
    """The same for the element that an `AnyElement` is looking at."""
    return in_text(ELEMENT, mode, text)


def in_documents(documents: Expression, mode: Mode, text: str) -> Expression | Q:
    """Whether an array of texts matches: words may stand in different ones, a phrase or whole value in one of them."""
    if mode in (Mode.PHRASE, Mode.EXACT_VALUE):
        return AnyElement("unnest", documents, in_element(mode, text))
    return in_text(Lines(documents), mode, text)


def _like(value: Expression, patterns: list[str]) -> Expression:
    return Says(value, text_array(dict.fromkeys(patterns)))

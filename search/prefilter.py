"""Which leads the text index lets through: what a query needs of a lead's words, read off before anything is tested.

Each lead's words stand in one row, those of its contacts and addresses too (`index_sql`), so that a whole query makes
one look-up. It is necessary, never sufficient: the conditions themselves still decide.
"""

from collections.abc import Iterable
from itertools import pairwise

from django.db.models import F, Q

from search.expressions import InTextIndex, text_value
from search.index_sql import LONGEST_LEXEME
from search.nodes import (
    And,
    AnyOf,
    Condition,
    CustomFieldRef,
    FieldCondition,
    FieldRef,
    HasRelated,
    IsType,
    Kind,
    MatchesText,
    Mode,
    Node,
    Or,
    Text,
)
from search.resolve import kind_of
from search.text import is_spaceless, words

# The fields whose words are in the index, as `documents` gives them or joined from those.
_INDEXED = {
    "lead": {"name", "display_name", "description", "url"},
    "contact": {"name", "title"},
    "contact_email": {"email"},
    "contact_phone": {"phone"},
    "contact_url": {"url"},
    "address": {"address_1", "address_2", "city", "state", "zipcode", "country", "location"},
}
_MOST_PARTS = 200  # of a condition; more make the look-up slower than they make it sharper
_MOST_CHARACTERS = 50_000  # of the whole look-up
_EVERYTHING = "'*'"  # stands in the rows of leads that say more than a row can hold


def may_match(node: Node, object_type: str) -> Q:
    """A condition on leads or contacts that holds wherever `node` does, and that the text index answers."""
    needed = _needed(node, object_type)
    if needed is None or len(needed) > _MOST_CHARACTERS or object_type not in ("lead", "contact"):
        return Q()
    wanted = f"{needed} | {_EVERYTHING}"
    if object_type == "lead":
        return Q(InTextIndex(F("pk"), text_value(wanted)))
    return Q(InTextIndex(F("lead_id"), text_value(wanted))) | Q(lead_id__isnull=True)


def lookup(mode: Mode, text: str) -> str | None:
    """What the words of a lead must meet (a tsquery) that says such a text, or None where nothing is known."""
    needed = _needed_of_text(mode, text)
    return None if needed is None or len(needed) > _MOST_CHARACTERS else f"{needed} | {_EVERYTHING}"


def is_settled_by_index(mode: Mode, text: str) -> bool:
    """Whether a lead says the text wherever its words in the index, as long as they are whole, meet the look-up.

    Short words may be met by pairs of signs of longer ones, and those cut off by others with the same beginning.
    """
    wanted = words(text)
    return (
        mode in (Mode.FULL_WORDS, Mode.BEGINNING_OF_WORDS)
        and len(set(wanted)) <= _MOST_PARTS
        and all(2 < len(word) < LONGEST_LEXEME and not is_spaceless(word) for word in wanted)
    )


def _needed(node: Node, object_type: str) -> str | None:
    """What the words of the lead that an object belongs to must meet (a tsquery), or None where nothing is known."""
    if node.negate or object_type not in _INDEXED:
        return None
    match node:
        case And(queries):
            return _joined(" & ", [found for query in queries if (found := _needed(query, object_type))])
        case Or(queries):
            found = [_needed(query, object_type) for query in queries if not _never(query)]
            return None if None in found else _joined(" | ", found)
        case HasRelated(related_object_type=related, query=query):
            return _needed(query, related)
        case Text(mode, value):
            return _needed_of_text(mode, value)
        case FieldCondition(field, condition) if _is_indexed(field):
            return _needed_of_value(condition)
    return None


def _never(node: Node) -> bool:
    return isinstance(node, IsType) and node.holds is node.negate


def _is_indexed(field: FieldRef) -> bool:
    if isinstance(field, CustomFieldRef):
        return field.object_type in ("lead", "contact") and kind_of(field) in (Kind.TEXT, Kind.CHOICE)
    return field.name in _INDEXED.get(field.object_type, ())


def _needed_of_value(condition: Condition) -> str | None:
    match condition:
        case MatchesText(mode, text):
            return _needed_of_text(mode, text)
        case AnyOf(values) if len(values) <= _MOST_PARTS:
            found = [_needed_of_text(Mode.EXACT_VALUE, value) for value in values]
            return None if None in found else _joined(" | ", found)
    return None


def _needed_of_text(mode: Mode, text: str) -> str | None:
    parts = dict.fromkeys(part for word in words(text) for part in _needed_of_word(mode, word))
    return _joined(" & ", list(parts)[:_MOST_PARTS])


def _needed_of_word(mode: Mode, word: str) -> Iterable[str]:
    if not is_spaceless(word):
        return [f"'{word[:LONGEST_LEXEME]}'" + (":*" if mode is Mode.BEGINNING_OF_WORDS else "")]
    # It may stand inside a word: all its pairs of signs do. A sign alone begins a pair, or is the last of its word.
    return [f"'{word}':*"] if len(word) == 1 else [f"'{one}{other}'" for one, other in pairwise(word)]


def _joined(operator: str, parts: list[str]) -> str | None:
    return f"({operator.join(parts)})" if parts else None

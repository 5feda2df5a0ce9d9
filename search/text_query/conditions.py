"""From `field:value` to a condition on a field of some kind; labels and names become the ids that they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from uuid import UUID

from crm.ids import close_id, parse_close_id
from search.errors import shown
from search.nodes import Kind
from search.schema import ID_PREFIX
from search.text_query import values
from search.text_query.syntax import Match, Unclear
from search.text_query.values import EXISTS, Json
from search.text_query.vocabulary import Vocabulary, hint, keys_named


@dataclass(frozen=True)
class Conditions:
    """Conditions in the words of an organization; `tz` is the zone of moments without one."""

    vocabulary: Vocabulary
    tz: tzinfo

    def of(self, match: Match, kind: Kind, reference: str | None, name: str = "") -> Json:
        """What `match` says of a field of that kind (and, of regular ones, of that name). Raises `Unclear`.

        `reference` is what the field's ids refer to, if it holds ids.
        """
        if values.is_star(match):
            return EXISTS
        match kind:
            case Kind.TEXT:
                by_name = {"phone": values.phone, "url": values.url}
                return by_name.get(name, values.text)(match)
            case Kind.CHOICE | Kind.ZONE:
                return values.choice(match)
            case Kind.NUMBER:
                return values.number(match)
            case Kind.MOMENT:
                return values.moments(match, self.tz)
            case Kind.DATE:
                return values.days(match, self.tz)
            case Kind.BOOLEAN:
                return values.boolean(match)
            case Kind.REFERENCE:
                return self._reference(match, reference or "")

    def _reference(self, match: Match, reference: str) -> Json:
        if match.sign not in ":=":
            raise Unclear("this field is compared by `:` or `=`.", match.value_at)
        if parse_close_id(ID_PREFIX.get(reference, ""), match.value):
            return {"type": "term", "values": [match.value]}
        known = self.vocabulary
        match reference:
            case "user" if match.value.lower() in ("me", "current_user"):
                return {"type": "current_user"}
            case "user":
                return _named(match, reference, [(key, written) for key, *both in known.users for written in both])
            case "status.lead":
                return _named(match, reference, known.statuses)
            case "status.opportunity":
                return _named(match, reference, known.opportunity_statuses)
        raise Unclear(f"the id of a {reference} is needed here, not '{shown(match.value)}'.", match.value_at)


def _named(match: Match, reference: str, labels: Sequence[tuple[UUID, str]]) -> Json:
    """Whoever has that name or label; one that nobody has may be a slip, and `not` of a slip would mean all."""
    keys = keys_named(labels, match.value)
    if not keys:
        what = "user" if reference == "user" else "status"
        near = hint(match.value, [label for _, label in labels])
        raise Unclear(f"there is no {what} '{shown(match.value)}'.{near}", match.value_at)
    ids = [close_id(ID_PREFIX[reference], key) for key in sorted(set(keys))]
    return {"type": "reference", "reference_type": reference, "object_ids": ids}

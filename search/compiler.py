"""From resolved nodes to one SQL query. Nothing is evaluated in Python.

Logic is two-valued: a condition on an absent value is false, and its negation true. SQL's unknown counts as false
everywhere but under a negation, so each negation says IS NOT TRUE (or NOT EXISTS) and nothing else needs care.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import cast
from uuid import UUID

from django.db.models import (
    DateField,
    DateTimeField,
    DecimalField,
    Expression,
    F,
    Model,
    OrderBy,
    OuterRef,
    Q,
    QuerySet,
    UUIDField,
    Value,
)
from django.db.models import Exists as ExistsIn
from django.db.models.functions import Left

from crm.models import Lead
from search import text_conditions
from search.expressions import (
    FALSE,
    TRUE,
    AmongGroups,
    AnyElement,
    Exactly,
    Folded,
    IsAnyOf,
    IsNotTrue,
    IsPresent,
    IsWholeInTextIndex,
    JsonNumber,
    JsonText,
    JsonValue,
    LeadSays,
    PartOfIds,
    Test,
    text_array,
    text_value,
    uuid_array,
)
from search.external import node_types
from search.fields import Aggregated, Field
from search.nodes import (
    And,
    AnyId,
    AnyOf,
    Condition,
    CustomFieldRef,
    DateRange,
    Exists,
    External,
    FieldCondition,
    FieldRef,
    HasRelated,
    Ids,
    InstantRange,
    InStatus,
    IsBoolean,
    IsType,
    Kind,
    MatchAll,
    MatchesText,
    Mode,
    Node,
    NumberRange,
    Or,
    RegularField,
    Slice,
    Text,
)
from search.prefilter import is_settled_by_index, lookup, may_match
from search.resolve import Resolved, kind_of
from search.schema import CROSSING, OBJECT_TYPES, RELATIONS
from search.status_history import entered

SORTED_CHARACTERS = 500  # of a text; what differs only behind them is ordered by id


def matching(resolved: Resolved, organization_id: UUID) -> QuerySet[Model]:
    """The live objects of that organization that match, in the order of `sort`, then by id.

    `results_limit` is not applied: slice the queryset.
    """
    return found(resolved, organization_id).order_by(*order_of(resolved))


def order_of(resolved: Resolved) -> list[OrderBy | str]:
    """By `sort`, absent values last; then by id."""
    items = zip(resolved.sort, sort_values(resolved), strict=True)
    # Where there is nothing absent, saying where it goes would keep an index from giving the order.
    order = (
        OrderBy(value, descending=item.is_descending, nulls_last=None if is_always_set(item.field) else True)
        for item, value in items
    )
    return [*order, "pk"]


def is_always_set(field: FieldRef) -> bool:
    """Whether every object has a value in that field."""
    return not isinstance(field, CustomFieldRef) and _regular(field).is_always_set


def condition_of(resolved: Resolved, organization_id: UUID) -> Q:
    """The condition alone, to narrow live objects of the result type that are reached another way."""
    node, object_type = resolved.node, resolved.object_type
    return Q(may_match(node, object_type), _condition(node, object_type, organization_id))


def found(resolved: Resolved, organization_id: UUID) -> QuerySet[Model]:
    """As `matching`, in no order."""
    return _live(resolved.object_type, organization_id).filter(condition_of(resolved, organization_id))


def sort_values(resolved: Resolved) -> list[Expression]:
    """What each item of `sort` compares: numbers and dates as they are, texts folded and cut."""
    return [_sort_value(item.field) for item in resolved.sort]


def _live(object_type: str, organization_id: UUID) -> QuerySet[Model]:
    if object_type == "lead":
        return Lead.objects.filter(organization_id=organization_id)
    return OBJECT_TYPES[object_type].objects().filter(~_hangs_on_deleted(), organization_id=organization_id)


def _hangs_on_deleted() -> ExistsIn:
    # Asked this way round since few leads are marked as deleted, and those have an index of their own.
    return ExistsIn(Lead.all_objects.filter(pk=OuterRef("lead_id"), deleted_at__isnull=False))


def _condition(node: Node, object_type: str, owner: UUID) -> Expression | Q:
    match node:
        case HasRelated(related_object_type=related, query=query):
            exists = ExistsIn(_related(node.this_object_type, related).filter(_condition(query, related, owner)))
            return ~exists if node.negate else exists
        case _:
            plain = _plain(node, object_type, owner)
            return IsNotTrue(plain) if node.negate else plain


def _plain(node: Node, object_type: str, owner: UUID) -> Expression | Q:
    """The condition of a node, its `negate` aside."""
    match node:
        case And(queries) | Or(queries):
            if not queries:
                return TRUE
            is_or = isinstance(node, Or)
            parts = [_condition(query, object_type, owner) for query in (_gathered(queries) if is_or else queries)]
            return Q(*parts, _connector=Q.OR if is_or else Q.AND)
        case MatchAll():
            return TRUE
        case IsType(holds):
            return TRUE if holds else FALSE
        case Ids(ids):
            return IsAnyOf(F("pk"), uuid_array(ids))
        case Text(mode, value, custom_keys):
            documents = OBJECT_TYPES[object_type].documents(dict(custom_keys))
            said = text_conditions.in_documents(documents, mode, value)
            return said if object_type != "lead" else _lead_says(mode, value, said, owner)
        case InStatus(_, statuses, first, last):
            return entered(object_type, statuses, cast("datetime | None", first), cast("datetime | None", last))
        case External(name, arguments):
            return node_types()[name].condition(arguments)
        case Slice(part, parts):
            return Test(PartOfIds(F("pk"), Value(parts)), "=", Value(part))
        case FieldCondition(field, condition):
            return _field_condition(field, condition, owner)
        case _:
            raise TypeError(node)


def _lead_says(mode: Mode, value: str, said: Expression | Q, owner: UUID) -> Expression | Q:
    """`said`, asked of the text index first, and of it alone where it knows as much as the texts."""
    wanted = lookup(mode, value)
    if wanted is None:
        return said
    if is_settled_by_index(mode, value):
        said = Q(Q(IsWholeInTextIndex(F("pk"), Value(owner, UUIDField()))), said, _connector=Q.OR)
    return Q(LeadSays(F("pk"), text_value(wanted)), said)


def _gathered(queries: Sequence[Node]) -> list[Node]:
    """The same `or`, where the values of one field stand in one list: of 10,000 conditions Django took 4 s to build."""
    lists: dict[FieldRef, dict[str, None]] = defaultdict(dict)
    others: list[Node] = []
    for query in queries:
        match query:
            case FieldCondition(field, AnyOf(values), negate=False):
                lists[field].update(dict.fromkeys(values))
            case _:
                others.append(query)
    return [*others, *(FieldCondition(field, AnyOf(tuple(values))) for field, values in lists.items())]


def _related(this: str, related: str) -> QuerySet[Model]:
    its_path, our_path = RELATIONS[this, related]
    # The organization is the same. Said again, it lets an index that begins with it lead the way.
    same = {its_path: OuterRef(our_path), "organization_id": OuterRef("organization_id")}
    found = OBJECT_TYPES[related].objects().filter(**same).order_by()
    return found.filter(~_hangs_on_deleted()) if (this, related) in CROSSING else found


def _field_condition(field: FieldRef, condition: Condition, owner: UUID) -> Expression | Q:
    if not isinstance(field, CustomFieldRef):
        return _regular_condition(_regular(field), condition, owner)
    if field.is_multiple or kind_of(field) is Kind.REFERENCE:
        return _listed_condition(field, condition)
    if isinstance(condition, InstantRange | DateRange):
        bounds = {">=": condition.on_or_after, "<": condition.before}
        return _within(_custom_value(field), {sign: _written(bound) for sign, bound in bounds.items() if bound})
    return _value_condition(_custom_value(field), condition)


def _regular(field: RegularField) -> Field:
    return OBJECT_TYPES[field.object_type].fields[field.name]


def _regular_condition(field: Field, condition: Condition, owner: UUID) -> Expression | Q:
    if field.aggregated and isinstance(condition, NumberRange) and condition != NumberRange():
        return _aggregated_condition(field.aggregated, condition, owner)
    plain = _value_condition(field.value(), condition)
    if field.one_of is None:
        return plain
    of, value = field.one_of.of, field.one_of.value()
    if field.one_of.is_extreme and isinstance(condition, InstantRange):
        return _extreme_within(of.of_outer(), value, condition, is_first=field.one_of.is_first)
    # Some object meets the condition: asked first, since it is a look at few of them where an index leads there.
    return Q(ExistsIn(of.of_outer().filter(_value_condition(value, condition))), plain)


def _extreme_within(objects: QuerySet[Model], value: Expression, wanted: InstantRange, *, is_first: bool) -> Q:
    """The first (or last) moment is within: one moment is on this side of the far bound, none beyond the near one."""
    first, last = wanted.on_or_after, wanted.before
    from_first = [Test(value, ">=", Value(first, DateTimeField()))] if first else []
    to_last = [Test(value, "<", Value(last, DateTimeField()))] if last else []
    some, none = (to_last, _turned(from_first)) if is_first else (from_first, _turned(to_last))
    found = Q(ExistsIn(objects.filter(IsPresent(value), *some)))
    return found & Q(~ExistsIn(objects.filter(*none))) if none else found


def _turned(tests: list[Test]) -> list[Expression]:
    return [IsNotTrue(test) for test in tests]


def _aggregated_condition(aggregated: Aggregated, condition: NumberRange, owner: UUID) -> Expression | Q:
    """One look at all groups instead of one at each object's; objects on which nothing hangs are in no group."""
    groups = aggregated.of.grouped(owner).annotate(number=aggregated.number())
    fits = _value_condition(F("number"), condition)
    if aggregated.of_nothing is None or not condition.holds(aggregated.of_nothing):
        return AmongGroups(groups.filter(fits))
    return ~AmongGroups(groups.filter(IsNotTrue(fits)))


def _value_condition(value: Expression, condition: Condition) -> Expression | Q:
    match condition:
        case Exists():
            return IsPresent(value)
        case MatchesText(mode, text):
            return text_conditions.in_text(value, mode, text)
        case AnyOf(values):
            return IsAnyOf(Exactly(value), text_array(values))
        case AnyId((one,)):  # equality, so that an index on this column and a second one gives the second one's order
            return Test(value, "=", Value(one, UUIDField()))
        case AnyId(ids):
            return IsAnyOf(value, uuid_array(ids))
        case NumberRange(gt, gte, lt, lte):
            bounds = {">": gt, ">=": gte, "<": lt, "<=": lte}
            return _within(
                value, {sign: Value(bound, DecimalField()) for sign, bound in bounds.items() if bound is not None}
            )
        case InstantRange(on_or_after, before):
            bounds = {">=": on_or_after, "<": before}
            return _within(value, {sign: Value(bound, DateTimeField()) for sign, bound in bounds.items() if bound})
        case DateRange(on_or_after, before):
            bounds = {">=": on_or_after, "<": before}
            return _within(value, {sign: Value(bound, DateField()) for sign, bound in bounds.items() if bound})
        case IsBoolean(expected):
            return Test(value, "=", TRUE if expected else FALSE)
        case _:
            raise TypeError(condition)


def _listed_condition(field: CustomFieldRef, condition: Condition) -> Expression | Q:
    """A condition on a custom field with several values holds where one of them meets it."""
    value = JsonValue(F("custom"), text_value(field.key))
    match condition:
        case Exists():
            return IsPresent(value)
        case AnyOf(values):
            return Test(value, "?|", text_array(values))
        case AnyId(ids):
            return Test(value, "?|", text_array(str(key) for key in ids))
        case MatchesText(mode, text):
            return AnyElement("jsonb_array_elements_text", value, text_conditions.in_element(mode, text))
        case _:
            raise TypeError(condition)


def _within(value: Expression, bounds: Mapping[str, Expression]) -> Expression | Q:
    if not bounds:
        return IsPresent(value)
    return Q(*(Test(value, sign, bound) for sign, bound in bounds.items()))


def _custom_value(field: CustomFieldRef) -> Expression:
    """The single value of a custom field. Dates and times are texts whose order is that of time."""
    match kind_of(field):
        case Kind.NUMBER:
            return JsonNumber(JsonValue(F("custom"), text_value(field.key)))
        case Kind.DATE | Kind.MOMENT:
            return Exactly(JsonText(F("custom"), text_value(field.key)))
        case _:
            return JsonText(F("custom"), text_value(field.key))


def _written(bound: date) -> Expression:
    """A date or a moment in UTC as custom fields hold it."""
    return text_value(bound.isoformat(timespec="microseconds") if isinstance(bound, datetime) else bound.isoformat())


def _sort_value(field: FieldRef) -> Expression:
    if isinstance(field, CustomFieldRef):
        value = _custom_value(field)
    else:
        value = OBJECT_TYPES[field.object_type].fields[field.name].value()
    return Left(Folded(value), SORTED_CHARACTERS) if kind_of(field) in (Kind.TEXT, Kind.CHOICE, Kind.ZONE) else value

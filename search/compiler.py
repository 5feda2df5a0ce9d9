"""From resolved nodes to one SQL query. Nothing is evaluated in Python.

Logic is two-valued: a condition on an absent value is false, and its negation true. SQL's unknown counts as false
everywhere but under a negation, so each negation says IS NOT TRUE (or NOT EXISTS) and nothing else needs care.
"""

from collections.abc import Mapping
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
    Value,
)
from django.db.models import Exists as ExistsIn
from django.db.models.functions import Left

from crm.models import Lead
from search import text_conditions
from search.expressions import (
    FALSE,
    TRUE,
    AnyElement,
    Exactly,
    Folded,
    IsAnyOf,
    IsNotTrue,
    IsPresent,
    JsonNumber,
    JsonText,
    JsonValue,
    PartOfIds,
    Test,
    text_array,
    text_value,
    uuid_array,
)
from search.external import node_types
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
    Node,
    NumberRange,
    Or,
    Slice,
    Text,
)
from search.prefilter import may_match
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
    return [*(OrderBy(value, descending=item.is_descending, nulls_last=True) for item, value in items), "pk"]


def condition_of(resolved: Resolved) -> Expression | Q:
    """The condition alone, to narrow live objects of the result type that are reached another way."""
    return _condition(resolved.node, resolved.object_type)


def found(resolved: Resolved, organization_id: UUID) -> QuerySet[Model]:
    """As `matching`, in no order."""
    node, object_type = resolved.node, resolved.object_type
    return _live(object_type, organization_id).filter(may_match(node, object_type), _condition(node, object_type))


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


def _condition(node: Node, object_type: str) -> Expression | Q:
    match node:
        case HasRelated(related_object_type=related, query=query):
            exists = ExistsIn(_related(node.this_object_type, related).filter(_condition(query, related)))
            return ~exists if node.negate else exists
        case _:
            plain = _plain(node, object_type)
            return IsNotTrue(plain) if node.negate else plain


def _plain(node: Node, object_type: str) -> Expression | Q:
    """The condition of a node, its `negate` aside."""
    match node:
        case And(queries) | Or(queries):
            if not queries:
                return TRUE
            parts = [_condition(query, object_type) for query in queries]
            return Q(*parts, _connector=Q.OR if isinstance(node, Or) else Q.AND)
        case MatchAll():
            return TRUE
        case IsType(holds):
            return TRUE if holds else FALSE
        case Ids(ids):
            return IsAnyOf(F("pk"), uuid_array(ids))
        case Text(mode, value, custom_keys):
            documents = OBJECT_TYPES[object_type].documents(dict(custom_keys))
            return text_conditions.in_documents(documents, mode, value)
        case InStatus(_, statuses, first, last):
            return entered(object_type, statuses, cast("datetime | None", first), cast("datetime | None", last))
        case External(name, arguments):
            return node_types()[name].condition(arguments)
        case Slice(part, parts):
            return Test(PartOfIds(F("pk"), Value(parts)), "=", Value(part))
        case FieldCondition(field, condition):
            return _field_condition(field, condition)
        case _:
            raise TypeError(node)


def _related(this: str, related: str) -> QuerySet[Model]:
    its_path, our_path = RELATIONS[this, related]
    found = OBJECT_TYPES[related].objects().filter(**{its_path: OuterRef(our_path)}).order_by()
    return found.filter(~_hangs_on_deleted()) if (this, related) in CROSSING else found


def _field_condition(field: FieldRef, condition: Condition) -> Expression | Q:
    if not isinstance(field, CustomFieldRef):
        return _value_condition(OBJECT_TYPES[field.object_type].fields[field.name].value(), condition)
    if field.is_multiple or kind_of(field) is Kind.REFERENCE:
        return _listed_condition(field, condition)
    if isinstance(condition, InstantRange | DateRange):
        bounds = {">=": condition.on_or_after, "<": condition.before}
        return _within(_custom_value(field), {sign: _written(bound) for sign, bound in bounds.items() if bound})
    return _value_condition(_custom_value(field), condition)


def _value_condition(value: Expression, condition: Condition) -> Expression | Q:
    match condition:
        case Exists():
            return IsPresent(value)
        case MatchesText(mode, text):
            return text_conditions.in_text(value, mode, text)
        case AnyOf(values):
            return IsAnyOf(Exactly(value), text_array(values))
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

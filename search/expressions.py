"""The few SQL forms that the ORM has no word for. Each is a plain expression that composes with all others.

Texts are always compared under a collation named here, so that the database's locale decides nothing.
"""

from collections.abc import Iterable
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BooleanField,
    DateTimeField,
    DecimalField,
    Expression,
    F,
    Field,
    Func,
    IntegerField,
    Model,
    QuerySet,
    Subquery,
    TextField,
    UUIDField,
    Value,
)

TRUE = Value(True, output_field=BooleanField())
FALSE = Value(False, output_field=BooleanField())


def text_value(value: str) -> Value:
    return Value(value, output_field=TextField())


def text_array(values: Iterable[str]) -> Value:
    return Value(list(values), output_field=ArrayField(TextField()))


def uuid_array(values: Iterable[UUID]) -> Value:
    return Value(list(values), output_field=ArrayField(UUIDField()))


class Test(Func):
    """`left operator right` as a condition; unknown where a side is NULL."""

    output_field = BooleanField()
    template = "(%(expressions)s)"

    def __init__(self, left: object, operator: str, right: object) -> None:
        super().__init__(left, right, arg_joiner=f" {operator} ")


class IsAnyOf(Func):
    """`left = ANY(array)`: one array whatever its length."""

    output_field = BooleanField()
    template = "(%(expressions)s))"
    arg_joiner = " = ANY("


class IsPresent(Func):
    output_field = BooleanField()
    template = "(%(expressions)s IS NOT NULL)"


class IsNotTrue(Func):
    """The negation of a condition: true where the condition is false, and where it is unknown."""

    output_field = BooleanField()
    template = "((%(expressions)s) IS NOT TRUE)"


class Exactly(Func):
    """A text under the collation that compares characters by their code."""

    output_field = TextField()
    template = '(%(expressions)s COLLATE "C")'


class Folded(Func):
    """A text as it is compared: `drover_fold`."""

    output_field = TextField()
    function = "drover_fold"
    template = '(%(function)s(%(expressions)s) COLLATE "C")'


class Words(Func):
    output_field = ArrayField(TextField())
    function = "drover_words"


class Says(Func):
    """Whether the words of a text, with one space before, between and behind them, are LIKE all of the patterns."""

    output_field = BooleanField()
    function = "drover_says"


class HasPhrase(Func):
    output_field = BooleanField()
    function = "drover_has_phrase"


class InTextIndex(Func):
    """Whether the words of the lead with this key meet a tsquery."""

    output_field = BooleanField()
    template = "(%(expressions)s::tsquery))"
    arg_joiner = " IN (SELECT lead_id FROM search_leadwords WHERE words @@ "


class LeadSays(Func):
    """The same, in a form that stays fast under a negation and beside alternatives: a look-up a lead at worst."""

    output_field = BooleanField()
    template = "EXISTS (SELECT FROM search_leadwords AS held WHERE held.lead_id = %(expressions)s::tsquery)"
    arg_joiner = " AND held.words @@ "


class IsWholeInTextIndex(Func):
    """Whether the text index holds exactly the words of the lead with this key, of that organization.

    Not those of a lead that says too much or was written just now, nor where texts of a deleted field may be left.
    """

    output_field = BooleanField()
    template = "(NOT EXISTS (SELECT FROM search_leadwords AS more WHERE more.lead_id = %(expressions)s))"
    arg_joiner = (
        " AND more.words @@ '''*'''::tsquery)"
        " AND NOT EXISTS (SELECT FROM search_deletedkey AS gone WHERE gone.organization_id = "
    )


class JsonValue(Func):
    """`custom -> key`."""

    output_field = TextField()
    template = "(%(expressions)s)"
    arg_joiner = " -> "


class JsonText(Func):
    """`custom ->> key`, or no value where the text is empty."""

    output_field = TextField()
    template = "NULLIF(%(expressions)s, '')"
    arg_joiner = " ->> "


class JsonNumber(Func):
    """A JSON value as a number, or no value where it is none."""

    output_field = DecimalField()
    template = "(jsonb_path_query_first(%(expressions)s, '$ ? (@.type() == \"number\")')::numeric)"


class TextArray(Func):
    output_field = ArrayField(TextField())
    template = "ARRAY[%(expressions)s]"


class Together(Func):
    """Arrays, one after the other."""

    output_field = ArrayField(TextField())
    template = "(%(expressions)s)"
    arg_joiner = " || "


class CustomTexts(Func):
    output_field = ArrayField(TextField())
    function = "drover_custom_texts"


class Unnest(Func):
    output_field = TextField()
    function = "unnest"
    set_returning = True


class Lines(Func):
    """The texts of an array as one text, a line each."""

    output_field = TextField()
    template = "array_to_string(%(expressions)s, E'\\n')"


class MidnightUtc(Func):
    """The first instant of a day in UTC."""

    output_field = DateTimeField()
    template = "((%(expressions)s)::timestamp AT TIME ZONE 'UTC')"


class PartOfIds(Func):
    """Which of n parts an id falls into. The hash is the one that partitioned tables use, so it stays as it is."""

    output_field = IntegerField()
    template = "mod(uuid_hash_extended(%(expressions)s)"
    arg_joiner = ", 0) & 9223372036854775807, "


class Never(Expression):
    """No value, of that type. (A bare NULL cannot be sorted by.)"""

    def __init__(self, output_field: Field) -> None:
        super().__init__(output_field=output_field)

    def as_sql(self, compiler: object, connection: BaseDatabaseWrapper) -> tuple[str, list[object]]:
        return f"(NULL::{self.output_field.db_type(connection)})", []


class Joined(Func):
    """Texts as one, with a space between; absent ones are left out."""

    output_field = TextField()
    template = "concat_ws(' ', %(expressions)s)"


class AnyElement(Func):
    """Whether one text of an array (or of a JSON list) meets a condition over `ELEMENT`."""

    output_field = BooleanField()
    template = "EXISTS (SELECT FROM %(function)s(%(expressions)s))"
    arg_joiner = ") AS element (value) WHERE ("

    def __init__(self, function: str, texts: object, condition: object) -> None:
        super().__init__(texts, condition, function=function)


class _Element(Expression):
    output_field = TextField()

    def as_sql(self, compiler: object, connection: object) -> tuple[str, list[object]]:
        return "NULLIF(element.value, '')", []


ELEMENT = _Element()


class AmongGroups(Func):
    """Whether the object stands in a query over what hangs on others, grouped by their key.

    Written so that the planner may read all groups once, the first few in order, or those of one object.
    """

    output_field = BooleanField()
    template = "EXISTS (SELECT FROM %(expressions)s)"
    arg_joiner = " AS grouped (key) WHERE grouped.key = "

    def __init__(self, groups: QuerySet[Model]) -> None:
        super().__init__(Subquery(groups), F("pk"))


class CountOf(Subquery):
    """How many rows a subquery has."""

    output_field = IntegerField()
    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"

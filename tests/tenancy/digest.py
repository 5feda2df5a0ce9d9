"""Whether anything of an organization has changed: one digest of every row in every table that is its own."""

from functools import cache

from django.apps import apps
from django.db import connection, models

from crm.models import Organization, User

# Django's own tables, which hold nothing of an organization.
_OF_NOBODY = {"admin", "auth", "contenttypes", "sessions"}
_COUNTERS = {"crm.Counter"}


def digest(organization: Organization) -> dict[str, str]:
    """By table, so that a failure says where."""
    with connection.cursor() as cursor:
        cursor.execute(_statement(), {"organization": organization.pk})
        return dict(cursor.fetchall())


@cache
def _statement() -> str:
    return " UNION ALL ".join(
        f"SELECT '{table}', coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '')"
        f' FROM "{table}" t WHERE {where}'
        for table, where in sorted(_tables())
    )


def _tables() -> set[tuple[str, str]]:
    return {
        (model._meta.db_table, _owned(model, "t"))
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label not in _OF_NOBODY and model._meta.label not in _COUNTERS and not model._meta.proxy
    }


def _owned(model: type[models.Model], alias: str) -> str:
    """The condition under which a row is the organization's, directly or by what it refers to."""
    if model is Organization:
        return f"{alias}.id = %(organization)s"
    if model is User:
        membership = apps.get_model("crm", "Membership")._meta.db_table
        return f'{alias}.id IN (SELECT user_id FROM "{membership}" WHERE organization_id = %(organization)s)'
    references = [field for field in model._meta.concrete_fields if isinstance(field, models.ForeignKey)]
    for field in references:
        if field.related_model is Organization:
            return f"{alias}.{field.column} = %(organization)s"
    related = [field for field in references if field.related_model._meta.app_label not in _OF_NOBODY]
    owners = []
    for field in [field for field in related if field.related_model is not User] or related:
        inner = f"{alias}{len(owners)}"
        table, owned = field.related_model._meta.db_table, _owned(field.related_model, inner)
        key = field.target_field.column
        owners.append(f'{alias}.{field.column} IN (SELECT {inner}.{key} FROM "{table}" {inner} WHERE {owned})')
    assert owners, f"{model._meta.label} belongs to no organization: say so here, or let it refer to one"
    return f"({' OR '.join(owners)})"

"""What every table has in common: a UUIDv7 key made by the database, and an organization."""

from django.db import models
from django.db.models.functions import Now


class UuidV7(models.Func):
    """PostgreSQL 18's `uuidv7()`: keys that sort by the time they were made."""

    function = "uuidv7"
    output_field = models.UUIDField()


class Keyed(models.Model):
    id = models.UUIDField(primary_key=True, db_default=UuidV7(), editable=False)

    class Meta:
        abstract = True


class Dated(models.Model):
    date_created = models.DateTimeField(db_default=Now(), editable=False)
    date_updated = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True


def plain_reference(to: str, **options: object) -> models.ForeignKey:
    """A foreign key without a constraint or an index of its own, for tables that grow by a row per lead.

    Each constraint costs a look-up per row (six of them trebled the time of a bulk edit). What it would guard is
    guarded by set-based code: a referenced row is locked or soft-deleted, never pulled away.
    """
    return models.ForeignKey(
        to, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", **options
    )

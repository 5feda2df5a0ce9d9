"""What imports keep: the files that were uploaded, and their rows, staged for the merge and told of afterwards."""

from django.db import models
from django.db.models import Q

from crm.models.base import Dated, Keyed, plain_reference


class Upload(Keyed, Dated):
    """A file that was sent to be imported, once or more often.

    `path` is its name in the storage (`settings.STORAGES["uploads"]`).
    """

    organization = models.ForeignKey("crm.Organization", models.CASCADE, related_name="+", db_index=False)
    created_by = models.ForeignKey("crm.User", models.PROTECT, related_name="+", db_index=False)
    name = models.TextField(help_text="As the sender calls it.")
    content_type = models.TextField(default="", blank=True)
    path = models.TextField()
    size = models.BigIntegerField(help_text="Bytes.")
    sha256 = models.TextField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["organization", "sha256"], name="upload_same"),
            models.Index(fields=["date_created"], name="upload_age"),
        ]

    def __str__(self) -> str:
        return self.name


class TriedKey(models.Model):
    """Of a dry run that goes on: what one of its rows would be known again by, as a digest. See `dry_runs`.

    `lead_id` is the lead that the row was about, null for one that would be new.
    """

    action = plain_reference("bulk_actions.BulkAction")
    digest = models.UUIDField()
    lead_id = models.UUIDField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["action", "digest"], name="tried_key")]


class ImportRow(Keyed):
    """A row of a file: what it says, and what became of it. Its key is the target in the ledger of the import.

    `data` is a `crm.merging.Row` as JSON, null for a row that cannot be read; that one has a `code` from the start.
    `outcome` is written in the transaction that merges the row: created, updated, skipped or failed.
    """

    action = plain_reference("bulk_actions.BulkAction")
    number = models.IntegerField(help_text="From 1 on, the header and blank rows not counted.")
    line = models.IntegerField(help_text="Of the file, where the row begins; of XLSX the row of the sheet.")
    data = models.JSONField(null=True)
    outcome = models.TextField(null=True)
    lead_id = models.UUIDField(null=True)
    contact_id = models.UUIDField(null=True)
    code = models.TextField(null=True)
    message = models.TextField(null=True)
    column_name = models.TextField(null=True)
    value = models.TextField(null=True, help_text="The beginning of the value that is to blame.")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["action", "number"], name="import_row_number")]
        indexes = [
            models.Index(
                fields=["action", "code", "number"], name="import_row_problem", condition=Q(code__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return f"Row {self.number}"

"""What the service keeps about its own work: answers to be repeated, leads to be forgotten, and counters."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from crm.models.base import plain_reference


class IdempotentAnswer(models.Model):
    """The answer to a POST that came with an `Idempotency-Key`; committed together with what that POST made.

    (`owner`, `path`, `key`) is unique. `owner` is the API key, or the user where there is none.
    """

    id = models.BigAutoField(primary_key=True)
    organization = plain_reference("crm.Organization")
    owner = models.UUIDField()
    path = models.TextField(help_text="Percent-encoded.")
    key = models.TextField()
    request_sha256 = models.TextField(help_text="Of the body and the parameters, in one canonical form.")
    status = models.SmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField(help_text="As it was sent.")
    date_created = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "path", "key"], name="idempotent_answer_once")]
        indexes = [models.Index(fields=["date_created"], name="idempotent_answer_age")]


class PurgedLead(models.Model):
    """A lead that was removed for good, until its values are out of everything else that holds some."""

    lead_id = models.UUIDField(primary_key=True)
    organization = plain_reference("crm.Organization")
    addresses = ArrayField(models.TextField(), help_text="Mail addresses of its contacts.")
    contacts = ArrayField(models.UUIDField(), default=list, help_text="The keys of its contacts.")
    date_created = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["organization", "lead_id"], name="purged_lead_organization")]


class Counter(models.Model):
    """How often something rare has happened, in all processes, since the installation."""

    id = models.BigAutoField(primary_key=True)
    name = models.TextField(unique=True)
    value = models.BigIntegerField()

"""The jobs and their ledger. The PostgreSQL rows are the job; nothing about it lives anywhere else."""

from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bulk_actions.imported import ImportRow as ImportRow
from bulk_actions.imported import TriedKey as TriedKey
from bulk_actions.imported import Upload as Upload
from bulk_actions.states import ACTIVE, FINAL, Status
from crm.ids import close_id
from crm.models.base import Dated, Keyed, plain_reference


class Kind(models.TextChoices):
    DELETE = "delete"
    EDIT = "edit"
    EMAIL = "email"
    SEQUENCE_SUBSCRIPTION = "sequence_subscription"
    DEAL_UPDATE = "deal_update"
    DEAL_DELETE = "deal_delete"
    IMPORT = "import"
    EXPORT = "export"


DEFAULT_FAILURE_RATIO = 0.5  # more of its leads failed, and a job pauses itself


class OnChanged(models.TextChoices):
    """What to do with a lead that no longer matches the job's filter when its turn comes."""

    APPLY = "apply"
    SKIP = "skip"


class Priority(models.IntegerChoices):
    LOW = -1, "low"
    NORMAL = 0, "normal"
    HIGH = 1, "high"


# Of the ids of jobs in Close's API.
PREFIX = {
    Kind.DELETE: "bulkdelete",
    Kind.EDIT: "bulkedit",
    Kind.EMAIL: "bulkemail",
    Kind.SEQUENCE_SUBSCRIPTION: "bulkseqsub",
    Kind.DEAL_UPDATE: "bulkdealupdate",
    Kind.DEAL_DELETE: "bulkdealdelete",
    Kind.IMPORT: "bulkimport",
    Kind.EXPORT: "expo",
}
# The targets of these are deals, not leads: `lead_ids` and `lead` of the ledger hold the keys of opportunities. They
# are carried out within BlueAI's calls (`bulk_actions.at_once`); Close's API does not serve them.
OVER_DEALS = frozenset({Kind.DEAL_UPDATE, Kind.DEAL_DELETE})


class BulkAction(Keyed, Dated):
    """One piece of bulk work.

    `params` is what the kind needs, resolved at the POST: ids as canonical uuids, values in stored form.
    `query` is the one-line text that came instead of an `s_query`, which is then its translation.
    `s_query` is what the caller sent; `resolved_query` is what it meant at that moment (current user, zone and `now`
    fixed), and the only thing that loading reads. The `n_*` result columns are written once, when the job ends; until
    then the counts are sums over `Batch` (see `bulk_actions.progress`). Objects are what the kind treats: leads, the
    mails to them, or their contacts' subscriptions. `n_objects` is the number of leads until the job ends, and each
    done batch says how many it had.
    """

    organization = models.ForeignKey("crm.Organization", models.CASCADE, related_name="+", db_index=False)
    kind = models.TextField(choices=Kind.choices)
    created_by = models.ForeignKey("crm.User", models.PROTECT, related_name="+", db_index=False)
    updated_by = models.ForeignKey("crm.User", models.PROTECT, related_name="+", db_index=False, null=True)
    params = models.JSONField(default=dict)
    query = models.TextField(null=True)
    s_query = models.JSONField(null=True)
    resolved_query = models.JSONField()
    sort = models.JSONField(default=list)
    results_limit = models.PositiveBigIntegerField(null=True)
    send_done_email = models.BooleanField(default=True)
    leads_per_minute = models.PositiveIntegerField(null=True, help_text="Ceiling; empty means none.")
    priority = models.SmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    run_at = models.DateTimeField(null=True, help_text="Not to be started before; empty means at once.")
    max_leads = models.PositiveBigIntegerField(null=True, help_text="More matches than that end it before any change.")
    canary_leads = models.PositiveIntegerField(null=True, help_text="After so many leads it pauses itself, once.")
    canary_passed = models.BooleanField(default=False)
    max_failure_ratio = models.FloatField(default=DEFAULT_FAILURE_RATIO)
    on_changed = models.TextField(choices=OnChanged.choices, default=OnChanged.APPLY)
    retry_of = plain_reference("bulk_actions.BulkAction", null=True)
    undo_of = plain_reference("bulk_actions.BulkAction", null=True)

    status = models.TextField(choices=Status.choices, default=Status.CREATED)
    status_reason = models.TextField(default="", blank=True, help_text="Why it was moved last, where that was told.")
    date_started = models.DateTimeField(null=True)
    date_finished = models.DateTimeField(null=True)
    date_paused = models.DateTimeField(null=True)
    error_code = models.TextField(null=True)
    error_message = models.TextField(null=True)
    unfinished_starts = models.IntegerField(
        default=0,
        help_text="Slices begun and not ended. Many of them: a batch kills workers.",
    )

    n_leads = models.BigIntegerField(null=True)
    n_objects = models.BigIntegerField(null=True)
    n_succeeded = models.BigIntegerField(null=True)
    n_unchanged = models.BigIntegerField(null=True)
    n_skipped = models.BigIntegerField(null=True)
    n_failed = models.BigIntegerField(null=True)
    n_unknown = models.BigIntegerField(null=True, help_text="Mails of which nobody knows whether they left.")
    n_repeated = models.BigIntegerField(
        null=True, help_text="Rows of a file about a record that an earlier row is about."
    )
    date_ledger_purged = models.DateTimeField(null=True, help_text="From then on only the counts are known.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["organization", "kind", "-id"], name="bulk_action_list"),
            models.Index(fields=["status", "id"], name="bulk_action_live", condition=~Q(status__in=sorted(FINAL))),
            models.Index(
                fields=["organization", "id"], name="bulk_action_running", condition=Q(status__in=sorted(ACTIVE))
            ),
            models.Index(
                fields=["id"], name="bulk_action_unsettled", condition=Q(status="error", n_succeeded__isnull=True)
            ),
            models.Index(fields=["retry_of"], name="bulk_action_retries", condition=Q(retry_of__isnull=False)),
            models.Index(fields=["undo_of"], name="bulk_action_undos", condition=Q(undo_of__isnull=False)),
            models.Index(
                fields=["date_finished"],
                name="bulk_action_ledger",
                condition=Q(date_finished__isnull=False, date_ledger_purged__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    @property
    def api_id(self) -> str:
        """`bulkedit_…`, `bulkdelete_…`: the id as Close's API spells it."""
        return close_id(PREFIX[Kind(self.kind)], self.pk)

    @property
    def is_of_file(self) -> bool:
        """Whether its targets are the rows of a file (`ImportRow`), whose keys stand in `lead_ids` and `lead` there.

        Those of the undo of such an import are leads.
        """
        return self.kind == Kind.IMPORT and "upload_id" in self.params and self.undo_of_id is None

    @property
    def is_over_contacts(self) -> bool:
        """Whether its targets are contacts: an import of such within a call, or the undo of any import of such."""
        return self.kind == Kind.IMPORT and not self.is_of_file and self.params.get("records") == "contacts"

    @property
    def target(self) -> str:
        """What the keys of its targets are those of: `lead`, `contact`, `opportunity`, or `row` of a file."""
        if self.kind == Kind.EXPORT:
            return str(self.params["target"])
        if self.is_over_contacts:
            return "contact"
        return "opportunity" if self.kind in OVER_DEALS else "row" if self.is_of_file else "lead"


_PREFIX_OF_TARGET = {"lead": "lead", "contact": "cont", "opportunity": "oppo", "row": "importrow"}


def spelled_target(action: BulkAction, key: UUID) -> str:
    """The id of one of the job's targets, as Close spells it."""
    return close_id(_PREFIX_OF_TARGET[action.target], key)


class Preview(Keyed):
    """The targets of a preview, frozen for the create that is to come: its batches have its id as their `action`.

    `order` is what the preview was asked for, as far as it says which leads and what with them; `asked` are digests of
    the keys of the body that chose the leads. `used_by` is the job that was created with it.
    """

    organization = models.ForeignKey("crm.Organization", models.CASCADE, related_name="+", db_index=False)
    kind = models.TextField(choices=Kind.choices)
    created_by = models.ForeignKey("crm.User", models.CASCADE, related_name="+", db_index=False)
    order = models.JSONField()
    asked = models.JSONField()
    n_leads = models.BigIntegerField()
    date_created = models.DateTimeField(db_default=Now())
    used_by = plain_reference("bulk_actions.BulkAction", null=True)

    class Meta:
        indexes = [
            models.Index(fields=["date_created"], name="preview_age"),
            models.Index(fields=["used_by"], name="preview_used_by", condition=Q(used_by__isnull=False)),
        ]


class Batch(models.Model):
    """A piece of a job's frozen target list, and what became of it: the ledger. Where the targets are deals
    (`OVER_DEALS`), these are meant wherever leads are named.

    Pending until `date_done` is set. `changed_ids` are the leads that were changed and `before` (a JSON list in the
    same order) what they held; null `changed_ids` in a done batch means that no lead of it was changed. Skipped and
    failed leads have a `LeadOutcome`; all others of `lead_ids` are unchanged.
    `n_succeeded + n_unchanged + n_skipped + n_failed == n_leads` once done; all four are 0 before. Of an import from a
    file, `n_created` rows have made a record.

    In a job that sends mail, `mail_ids` are the mails that were reserved, and `mail_places` (in the same order) the
    places of their leads in `lead_ids`, from 1 on. What became of them says the outbox; what was skipped or failed
    before has a `LeadOutcome` each. All that together are `n_objects` (null: as many as leads), at least one per lead.
    In a job over subscriptions, `subscription_ids` are those that it has changed (`n_succeeded`, with their `before` in
    that order), then those that were as wanted, with `subscription_places` as above; each other has a `LeadOutcome`.
    `rank` is the place of its first lead in the job's order, from 1 on: a lead keeps its place when batches are split.
    `given` (undo only, in the order of `lead_ids`): what each lead is to get back, `{"from": …, "to": …}`; of
    subscriptions a list of those of the lead, each with its `id`.
    """

    id = models.BigAutoField(primary_key=True)
    action = plain_reference("bulk_actions.BulkAction")
    lead_ids = ArrayField(models.UUIDField())
    rank = models.BigIntegerField()
    n_leads = models.IntegerField()
    given = ArrayField(models.JSONField(), null=True)
    isolated = models.BooleanField(
        db_default=False, help_text="Worked alone, its try committed first: it may kill workers."
    )
    tried_at = models.DateTimeField(null=True, help_text="When a worker was about to try an isolated batch.")
    changed_ids = ArrayField(models.UUIDField(), null=True)
    mail_ids = ArrayField(models.UUIDField(), null=True)
    mail_places = ArrayField(models.IntegerField(), null=True)
    subscription_ids = ArrayField(models.UUIDField(), null=True)
    subscription_places = ArrayField(models.IntegerField(), null=True)
    n_objects = models.IntegerField(null=True)
    before = models.JSONField(null=True)
    n_succeeded = models.IntegerField(db_default=0)
    n_unchanged = models.IntegerField(db_default=0)
    n_skipped = models.IntegerField(db_default=0)
    n_failed = models.IntegerField(db_default=0)
    n_created = models.IntegerField(db_default=0)
    date_done = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["action", "rank"], name="batch_pending", condition=Q(date_done__isnull=True)),
            models.Index(fields=["action", "rank"], name="batch_rank"),
            # Sums over a job, and its latest pace, without reading the arrays.
            models.Index(
                fields=["action", "date_done"],
                include=["n_leads", "n_objects", "n_succeeded", "n_unchanged", "n_skipped", "n_failed"],
                name="batch_progress",
            ),
        ]


class ExportFile(Keyed):
    """One try to write the file of an export. It is complete, and may be given away, once `date_finished` is set.

    `name` is its name in the storage (`settings.STORAGES["exports"]`), which no other try has. `n_rows` counts while
    it is written; `size` is in bytes, compressed as it lies there.
    """

    organization = models.ForeignKey("crm.Organization", models.CASCADE, related_name="+", db_index=False)
    action = plain_reference("bulk_actions.BulkAction")
    name = models.TextField()
    n_rows = models.BigIntegerField(db_default=0)
    size = models.BigIntegerField(null=True)
    date_created = models.DateTimeField(db_default=Now())
    date_finished = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["action"], name="export_file_action"),
            models.Index(fields=["date_created"], name="export_file_age"),
        ]

    def __str__(self) -> str:
        return self.name


class Outcome(models.TextChoices):
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"  # a mail that may have left, and is now another job's to send again


class LeadOutcome(models.Model):
    """A lead that did not go well, and why. Leads that did have no row.

    In a job that sends mail: a mail that was not reserved, and to which address; `email` null where there was none. In
    a job over subscriptions: one that was not changed, or a contact (null `subscription_id`) or lead (no `email`
    either) that has none.
    """

    id = models.BigAutoField(primary_key=True)
    action = plain_reference("bulk_actions.BulkAction")
    batch = plain_reference("bulk_actions.Batch")
    lead = plain_reference("crm.Lead")
    email = models.TextField(null=True)
    subscription_id = models.UUIDField(null=True)
    outcome = models.TextField(choices=Outcome.choices)
    code = models.TextField()
    message = models.TextField()

    class Meta:
        indexes = [
            models.Index(fields=["action", "outcome", "id"], name="lead_outcome_list"),
            models.Index(fields=["batch"], name="lead_outcome_batch"),
        ]


class Transition(models.Model):
    """One move of a job from one status to another: who, and why."""

    id = models.BigAutoField(primary_key=True)
    action = models.ForeignKey(BulkAction, models.CASCADE, related_name="transitions")
    old_status = models.TextField(null=True, choices=Status.choices)
    new_status = models.TextField(choices=Status.choices)
    by = plain_reference("crm.User", null=True)
    reason = models.TextField(default="", blank=True)
    date_created = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]


class _OfKind(models.Manager["BulkAction"]):
    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self._kind = kind

    def get_queryset(self) -> models.QuerySet["BulkAction"]:
        return super().get_queryset().filter(kind=self._kind)


class BulkDelete(BulkAction):
    objects = _OfKind(Kind.DELETE)

    class Meta:
        proxy = True


class BulkEdit(BulkAction):
    objects = _OfKind(Kind.EDIT)

    class Meta:
        proxy = True


class BulkEmail(BulkAction):
    objects = _OfKind(Kind.EMAIL)

    class Meta:
        proxy = True


class BulkSequenceSubscription(BulkAction):
    objects = _OfKind(Kind.SEQUENCE_SUBSCRIPTION)

    class Meta:
        proxy = True

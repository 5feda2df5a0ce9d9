"""What a kind of bulk action is to the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bulk_actions.models import BulkAction, Kind
from crm.models import Permission
from crm.sequences.bulk import Statement

GONE = "lead.id IS NULL OR lead.deleted_at IS NOT NULL"
GONE_MESSAGE = "The lead was deleted after the job had begun."


@dataclass(frozen=True)
class Targets:
    """What a change is made to: rows of this table, whose keys are the `lead_ids` of the batches, whatever they are.

    `row` is what the change's SQL calls one of them.
    """

    table: str
    row: str


LEADS = Targets("crm_lead", "lead")
DEALS = Targets("crm_opportunity", "deal")


@dataclass(frozen=True)
class Change:
    """One set-based statement that changes leads, and what it leaves behind.

    `update` is an `UPDATE crm_lead AS lead ...` with the placeholder `{these}` where the condition that selects the
    leads goes, and a RETURNING list of `lead.id AS lead_id, ... AS before` (`before`: jsonb of what the lead held, by
    `old.…`, so that a concurrent edit cannot make it stale). It touches only leads that it really changes. `also` are
    further CTEs that read `changed` (lead_id, before).

    With `skip_code` the leads are locked and judged before: an SQL expression over `lead` (all null where there is no
    such lead) and `target` (`lead_id`, and `given` of an undo) that is the code for which a lead is skipped, or null.
    It must then also know the leads that are gone (`GONE`). `messages` says each code for a person. `update` may then
    read `judged` (lead_id, given, code).

    `targets` other than leads are always judged: `deal` stands where `lead` does here, but for the name of their keys.
    """

    update: str
    parameters: Mapping[str, object]
    also: Mapping[str, str] = field(default_factory=dict)
    keeps_before: bool = True
    skip_code: str | None = None
    messages: Mapping[str, str] = field(default_factory=dict)
    targets: Targets = LEADS


@dataclass(frozen=True)
class Effect:
    """What a change does to one live lead: SQL expressions that the change and its preview are both made of.

    A kind that previews know gives it by `effect(params)`, which locks nothing and raises nothing.

    `held` is jsonb of what the lead holds, with the placeholder `{row}` for `lead` (or `old`); `becomes` over `lead`
    jsonb of what it will hold, NULL for nothing; `differs` over `lead` whether it would change at all.
    """

    held: str
    becomes: str
    differs: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """What a job wrote to a lead: an SQL expression of jsonb over `before` (what the lead held) and `given` (of the
    batch, null but in an undo), and its parameters."""

    sql: str
    parameters: Mapping[str, object] = field(default_factory=dict)


class Action(Protocol):
    """One kind. What it means for a batch of targets stands in one file of this package: it is a `Changing`, a
    `Mailing`, a `Subscribing` or a `Merging`. An export alone has no batches to be worked (`bulk_actions.exports`)."""

    kind: Kind
    permission: Permission
    max_leads: int | None  # more than that, and a job of this kind ends before it begins

    def describe(self, action: BulkAction) -> str:
        """What the job does, as the done mail and the admin say it: "Set the status to Won". Never asked of an undo."""


class Changing(Action, Protocol):
    """A kind whose objects are its targets themselves, changed by one statement (`ledger.apply`)."""

    def change(self, action: BulkAction) -> Change:
        """The change for any batch of this job, inside the batch's transaction.

        May lock what the change refers to. Raises JobImpossible when that is gone.
        """

    def undo_params(self, action: BulkAction, *, force: bool) -> dict[str, object]:
        """The `params` of a job that undoes this one, which may be an undo itself."""

    def written(self, action: BulkAction) -> Written | None:
        """What this job wrote to each lead that it changed. None where an undo needs no `given` to take it back."""

    def undo(self, action: BulkAction) -> Change:
        """The change of a job that has an `undo_of`. Raises as `change` does."""


class Merging(Action, Protocol):
    """A kind that merges rows of data into leads (`crm.merging`), or takes that back (`bulk_actions.merges`)."""

    def apply(self, action: BulkAction, batch_ids: Sequence[int]) -> int | None:
        """Work these batches, and write down what became of each lead or row, in the transaction at hand; returns how
        many failed, where it knows of such.

        Raises JobImpossible when what the job refers to is gone.
        """

    def undo_params(self, action: BulkAction, *, force: bool) -> dict[str, object]:
        """As of a `Changing`. Raises `Invalid` for an undo: rows are merged anew by sending them again."""

    def written(self, action: BulkAction) -> Written | None:
        """As of a `Changing`."""


class Mailing(Action, Protocol):
    """A kind whose objects are mails. It reserves them; delivery sends them, and the outbox knows what became of them.

    A job of such a kind goes on until no mail of it is left to be sent. Pausing it holds its mails back.
    """

    def apply(self, action: BulkAction, batch_ids: Sequence[int]) -> int:
        """Reserve the mails of these batches and write down what became of each lead, in the transaction at hand;
        returns how many could not be made.

        Raises JobImpossible when what the mails are made of is gone.
        """


class Subscribing(Action, Protocol):
    """A kind whose objects are subscriptions of the leads' contacts, and the contacts and leads that have none.

    A restore, as every undo is, finds what it is to put back in `given`.
    """

    def apply(self, action: BulkAction, batch_ids: Sequence[int]) -> None:
        """Change the subscriptions of these batches and write down what became of each, in the transaction at hand.

        Raises JobImpossible when what it needs is gone.
        """

    def look(self, params: Mapping[str, object]) -> tuple[Statement, dict[str, object]]:
        """What a job with these `params` does, and as many of its parameters as looking takes. Locks nothing."""

    def undo_params(self, action: BulkAction, *, force: bool) -> dict[str, object]:
        """The `params` of a job that undoes this one, which may be an undo itself."""

    def given(self, action: BulkAction) -> tuple[str, dict[str, object]]:
        """SQL of jsonb over `was` (what the job held of a subscription before, null: it made it) and `given` (of the
        batch, null but in an undo): `from` and `to` for an undo of this job. And its parameters."""

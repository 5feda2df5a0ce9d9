"""Pipelines and the opportunity statuses in them (close-api.md 4.4).

As with lead statuses, whoever is about to write a status into an opportunity holds its row FOR KEY SHARE until commit;
whoever deletes it takes the row FOR UPDATE, and only then looks for opportunities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Now

from crm.errors import FieldErrors, Invalid, NotFound
from crm.locks import hold_row, lock_customizations
from crm.models import Opportunity, OpportunityStatus, Organization, Pipeline, StatusType, User
from crm.slugs import unique_slug
from crm.text import clean_name

_GONE = "Object does not exist."


@dataclass(frozen=True)
class StatusChoice:
    """How a write names a status: by its id, by its label, or by its pipeline alone (then its first one)."""

    status_id: UUID | None = None
    label: str | None = None
    pipeline_id: UUID | None = None

    @property
    def is_empty(self) -> bool:
        return self == StatusChoice()

    def keeps(self, current: OpportunityStatus) -> bool:
        """Whether nothing is said that `current` does not say already."""
        return self.is_empty or self == StatusChoice(pipeline_id=current.pipeline_id)


def statuses_of(organization_id: UUID) -> QuerySet[OpportunityStatus]:
    """The organization's statuses: pipeline by pipeline, each in its order."""
    return OpportunityStatus.objects.filter(organization_id=organization_id).order_by(
        "pipeline__position", "pipeline_id", "position", "id"
    )


def choose_status(
    choice: StatusChoice, organization_id: UUID, *, current: OpportunityStatus | None = None
) -> OpportunityStatus:
    """The status that is meant, held until this transaction ends; `current` where nothing is said of it.

    A label means that of the pipeline named, else of the current one, else of the first pipeline that has it. Raises
    `FieldErrors` for what is gone or does not fit, `Invalid` when there is no status at all.
    """
    if current and choice.keeps(current):
        return current
    found = _found(choice, organization_id, current)
    if hold_row(OpportunityStatus, "id = %s AND organization_id = %s", [found.pk, organization_id]) is None:
        raise FieldErrors({"status_id": _GONE})
    return found


def _found(choice: StatusChoice, organization_id: UUID, current: OpportunityStatus | None) -> OpportunityStatus:
    statuses = statuses_of(organization_id)
    if choice.pipeline_id is not None:
        if not Pipeline.objects.filter(organization_id=organization_id, pk=choice.pipeline_id).exists():
            raise FieldErrors({"pipeline_id": _GONE})
        in_pipeline = statuses.filter(pipeline_id=choice.pipeline_id)
    else:
        in_pipeline = statuses
    if choice.status_id is not None:
        status = statuses.filter(pk=choice.status_id).first()
        if status is None:
            raise FieldErrors({"status_id": _GONE})
        if choice.pipeline_id not in (None, status.pipeline_id):
            raise FieldErrors({"pipeline_id": "The status belongs to another pipeline."})
        return status
    if choice.label is not None:
        namesakes = list(in_pipeline.filter(label=choice.label))
        if not namesakes:
            raise FieldErrors({"status": _GONE})
        beside = [status for status in namesakes if current and status.pipeline_id == current.pipeline_id]
        return (beside or namesakes)[0]
    first = in_pipeline.first()
    if first is None:
        where = "pipeline" if choice.pipeline_id else "organization"
        raise Invalid([f"The {where} has no opportunity status."])
    return first


@transaction.atomic
def create_pipeline(
    *, organization: Organization, name: object, statuses: Sequence[UUID] = (), by: User | None = None
) -> Pipeline:
    """A new pipeline at the end of the list; these statuses move into it. `FieldErrors` for what is wrong."""
    lock_customizations(organization.pk)
    siblings = Pipeline.objects.filter(organization=organization)
    last = siblings.aggregate(last=Max("position"))["last"]
    pipeline = Pipeline.objects.create(
        organization=organization,
        name=clean_name(name, path="name"),
        position=0 if last is None else last + 1,
        created_by=by,
        updated_by=by,
    )
    _arrange(pipeline, statuses)
    return pipeline


@transaction.atomic
def update_pipeline(
    *, pipeline: Pipeline, name: object = None, statuses: Sequence[UUID] | None = None, by: User | None = None
) -> Pipeline:
    """Rename the pipeline (`name` None: as it was). `statuses` come first, in this order; those of other pipelines move
    into this one, with their opportunities. The others follow in the order they had.
    """
    lock_customizations(pipeline.organization_id)
    current = Pipeline.objects.filter(pk=pipeline.pk).first()
    if current is None:
        raise NotFound
    if name is not None:
        current.name = clean_name(name, path="name")
    current.updated_by = by
    current.date_updated = Now()
    current.save(update_fields=["name", "updated_by", "date_updated"])
    if statuses is not None:
        _arrange(current, statuses)
    current.refresh_from_db()
    return current


@transaction.atomic
def delete_pipeline(*, pipeline: Pipeline) -> None:
    """Delete a pipeline that has no statuses, unless it is the last one; else `Invalid`."""
    lock_customizations(pipeline.organization_id)
    if not Pipeline.objects.select_for_update().filter(pk=pipeline.pk).exists():
        raise NotFound
    if OpportunityStatus.objects.filter(pipeline=pipeline).exists():
        raise Invalid(["The pipeline has statuses: delete them or move them to another pipeline first."])
    if not Pipeline.objects.filter(organization_id=pipeline.organization_id).exclude(pk=pipeline.pk).exists():
        raise Invalid(["The last pipeline of an organization cannot be deleted."])
    Pipeline.objects.filter(pk=pipeline.pk).delete()


@transaction.atomic
def create_status(
    *,
    organization: Organization,
    label: object,
    status_type: object = StatusType.ACTIVE,
    pipeline_id: UUID | None = None,
) -> OpportunityStatus:
    """A new status at the end of the pipeline, without one of the organization's first. `FieldErrors` for a label that
    is empty or taken in that pipeline.
    """
    lock_customizations(organization.pk)
    pipelines = Pipeline.objects.filter(organization=organization)
    pipeline = pipelines.first() if pipeline_id is None else pipelines.filter(pk=pipeline_id).first()
    if pipeline is None:
        raise FieldErrors({"pipeline_id": _GONE})
    siblings = OpportunityStatus.objects.filter(pipeline=pipeline)
    cleaned, cleaned_type = _free_label(pipeline.pk, label), _clean_type(status_type)
    last = siblings.aggregate(last=Max("position"))["last"]
    return OpportunityStatus.objects.create(
        organization=organization,
        pipeline=pipeline,
        label=cleaned,
        slug=unique_slug(cleaned, set(siblings.values_list("slug", flat=True))),
        type=cleaned_type,
        position=0 if last is None else last + 1,
    )


@transaction.atomic
def update_status(
    *, status: OpportunityStatus, label: object = None, status_type: object = None, pipeline_id: UUID | None = None
) -> OpportunityStatus:
    """Change what is not None. The slug stays; opportunities in the status keep their dates when its type changes."""
    lock_customizations(status.organization_id)
    current = OpportunityStatus.objects.filter(pk=status.pk).first()
    if current is None:
        raise NotFound
    if pipeline_id is not None and pipeline_id != current.pipeline_id:
        pipelines = Pipeline.objects.filter(organization_id=status.organization_id)
        pipeline = pipelines.filter(pk=pipeline_id).first()
        if pipeline is None:
            raise FieldErrors({"pipeline_id": _GONE})
        there = OpportunityStatus.objects.filter(pipeline=pipeline).values_list("pk", flat=True)
        _arrange(pipeline, [*there, current.pk])
        current.refresh_from_db()
    if label is not None:
        current.label = _free_label(current.pipeline_id, label, but=current.pk)
    if status_type is not None:
        current.type = _clean_type(status_type)
    current.date_updated = Now()
    # Touches no column of a key, so those who hold the status are not waited for.
    current.save(update_fields=["label", "type", "date_updated"])
    current.refresh_from_db()
    return current


@transaction.atomic
def delete_status(*, status: OpportunityStatus) -> None:
    """Delete a status that no opportunity has, those that are deleted, or whose lead is, included (they may come back);
    else `Invalid`.

    Waits for transactions that hold the status.
    """
    lock_customizations(status.organization_id)
    if not OpportunityStatus.objects.select_for_update().filter(pk=status.pk).exists():
        raise NotFound
    if Opportunity.all_objects.filter(status_id=status.pk).exists():
        raise Invalid(["The status is used by opportunities (those of leads deleted in the last 30 days included)."])
    OpportunityStatus.objects.filter(pk=status.pk).delete()


def _arrange(pipeline: Pipeline, first: Sequence[UUID]) -> None:
    """Put these statuses first in the pipeline; a newcomer whose slug is taken there gets another one."""
    statuses = {status.pk: status for status in statuses_of(pipeline.organization_id)}
    if any(key not in statuses for key in first):
        raise FieldErrors({"statuses": _GONE})
    own = [key for key, status in statuses.items() if status.pipeline_id == pipeline.pk]
    taken = {statuses[key].slug for key in own}
    labels = {statuses[key].label for key in own}
    for position, key in enumerate(dict.fromkeys([*first, *own])):
        status = statuses[key]
        if status.pipeline_id != pipeline.pk:
            if status.label in labels:
                raise FieldErrors({"statuses": f"The pipeline has a status with this label already: {status.label}"})
            status.pipeline = pipeline
            status.slug = unique_slug(status.slug, taken)
            taken.add(status.slug)
            labels.add(status.label)
        status.position = position
        status.save(update_fields=["pipeline", "slug", "position"])


def _clean_type(value: object) -> str:
    if not isinstance(value, str) or value not in StatusType.values:
        raise FieldErrors({"type": f"Not a valid choice. One of: {', '.join(StatusType.values)}."})
    return value


def _free_label(pipeline_id: UUID, label: object, *, but: UUID | None = None) -> str:
    cleaned = clean_name(label, path="label")
    if OpportunityStatus.objects.filter(pipeline_id=pipeline_id, label=cleaned).exclude(pk=but).exists():
        raise FieldErrors({"label": "There is a status with this label already."})
    return cleaned

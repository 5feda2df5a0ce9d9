"""Pipelines together with their stages, as BlueAI writes them (blueai-api.md 5); one by one: `crm.pipelines`."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from crm.errors import Conflict, FieldErrors, NotFound
from crm.locks import lock_customizations
from crm.models import Opportunity, OpportunityStatus, Organization, Pipeline, StatusType, User
from crm.setup import default_stages
from crm.slugs import unique_slug


@dataclass(frozen=True)
class StageDraft:
    """A stage as it is to be. Its slug is what it is known by: a caller chooses it, and it never changes."""

    slug: str
    label: str
    type: str = StatusType.ACTIVE
    probability: int | None = None


DEFAULT_STAGES = tuple(StageDraft(unique_slug(label, ()), label, kind) for label, kind in default_stages)


@transaction.atomic
def create_staged_pipeline(
    *,
    organization: Organization,
    name: str,
    by: User,
    stages: Sequence[StageDraft] = DEFAULT_STAGES,
    is_default: bool | None = None,
    position: int | None = None,
) -> Pipeline:
    """A new pipeline with these stages: the last one, or at `position`, or, as the default one, the first."""
    lock_customizations(organization.pk)
    last = Pipeline.objects.filter(organization=organization).aggregate(last=Max("position"))["last"]
    place = (0 if last is None else last + 1) if position is None else position
    pipeline = Pipeline.objects.create(
        organization=organization, name=name, position=place, created_by=by, updated_by=by
    )
    _arrange(pipeline, stages)
    _place(pipeline, is_default=bool(is_default))
    pipeline.refresh_from_db()
    return pipeline


@transaction.atomic
def update_staged_pipeline(
    *,
    pipeline: Pipeline,
    by: User,
    name: str | None = None,
    stages: Sequence[StageDraft] | None = None,
    is_default: bool | None = None,
    position: int | None = None,
) -> Pipeline:
    """Change what is not None. Stages that are left out are removed, which none with deals can be (`Conflict`)."""
    lock_customizations(pipeline.organization_id)
    current = Pipeline.objects.filter(pk=pipeline.pk).first()
    if current is None:
        raise NotFound
    current.name = current.name if name is None else name
    current.position = current.position if position is None else position
    current.updated_by, current.date_updated = by, Now()
    current.save(update_fields=["name", "position", "updated_by", "date_updated"])
    if stages is not None:
        _arrange(current, stages)
    _place(current, is_default=bool(is_default))
    current.refresh_from_db()
    return current


@transaction.atomic
def delete_staged_pipeline(*, pipeline: Pipeline) -> None:
    """Delete a pipeline with its stages. `Conflict` where it has deals, or is the last one."""
    lock_customizations(pipeline.organization_id)
    if not Pipeline.objects.select_for_update().filter(pk=pipeline.pk).exists():
        raise NotFound
    if not Pipeline.objects.filter(organization=pipeline.organization_id).exclude(pk=pipeline.pk).exists():
        raise Conflict("The last pipeline of an organization cannot be deleted.")
    _remove(list(OpportunityStatus.objects.filter(pipeline=pipeline)))
    Pipeline.objects.filter(pk=pipeline.pk).delete()


def _arrange(pipeline: Pipeline, stages: Sequence[StageDraft]) -> None:
    """Make the stages of the pipeline these, in this order."""
    if not stages:
        raise FieldErrors({"stages": "must hold one stage at least"})
    held = {status.slug: status for status in OpportunityStatus.objects.filter(pipeline=pipeline)}
    _remove([status for slug, status in held.items() if slug not in {stage.slug for stage in stages}])
    for position, stage in enumerate(stages):
        status = held.get(stage.slug) or OpportunityStatus(
            organization_id=pipeline.organization_id, pipeline=pipeline, slug=stage.slug
        )
        status.label, status.type, status.probability = stage.label, stage.type, stage.probability
        status.position = position
        if stage.slug in held:
            status.date_updated = Now()
            # Touches no column of a key, so those who hold the status are not waited for.
            status.save(update_fields=["label", "type", "probability", "position", "date_updated"])
        else:
            status.save(force_insert=True)


def _remove(statuses: Sequence[OpportunityStatus]) -> None:
    keys = [status.pk for status in statuses]
    # Locked first: a deal that is just entering one of them is waited for, and then seen.
    list(OpportunityStatus.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
    if Opportunity.all_objects.filter(status__in=keys).exists():
        raise Conflict("There are deals in it (those deleted in the last 30 days included).")
    OpportunityStatus.objects.filter(pk__in=keys).delete()


def _place(pipeline: Pipeline, *, is_default: bool) -> None:
    """Give each pipeline of the organization a position of its own; the first of them is the default one."""
    rows = list(Pipeline.objects.filter(organization=pipeline.organization_id))
    if is_default:
        rows.sort(key=lambda row: row.pk != pipeline.pk)
    for position, row in enumerate(rows):
        if row.position != position:
            Pipeline.objects.filter(pk=row.pk).update(position=position)

"""Pipelines and opportunity statuses, alone and while others use them."""

import pytest
from django.db import transaction
from django.utils import timezone

from crm.errors import FieldErrors, Invalid, NotFound
from crm.models import Lead, OpportunityStatus, Organization, Pipeline
from crm.pipelines import (
    StatusChoice,
    choose_status,
    create_pipeline,
    create_status,
    delete_pipeline,
    delete_status,
    statuses_of,
    update_pipeline,
    update_status,
)
from crm.setup import create_organization, default_stages, ensure_pipeline
from tests import factories
from tests.sessions import DEADLINE_SECONDS, other_session, wait_until_blocked


@pytest.fixture
def pipeline(organization: Organization) -> Pipeline:
    return factories.PipelineFactory.create(organization=organization)


@pytest.fixture
def stages(pipeline: Pipeline) -> list[OpportunityStatus]:
    return [create_status(organization=pipeline.organization, label=label) for label in ("Fit", "Offer", "Done")]


def labels_of(pipeline: Pipeline) -> list[str]:
    return [status.label for status in pipeline.statuses.order_by("position", "id")]


@pytest.mark.django_db
def test_a_new_organization_has_a_pipeline_with_stages_of_each_type() -> None:
    organization = create_organization("Fennmark")
    ensure_pipeline(organization)
    pipeline = Pipeline.objects.get(organization=organization)
    assert pipeline.name == "Sales"
    found = list(statuses_of(organization.pk).values_list("label", "type"))
    assert found == [(label, str(status_type)) for label, status_type in default_stages]
    assert {status_type for _, status_type in found} == {"active", "won", "lost"}


def test_a_new_status_comes_last_in_its_pipeline_and_gets_a_slug(pipeline: Pipeline) -> None:
    first = create_status(organization=pipeline.organization, label=" Good Fit ", status_type="won")
    second = create_status(organization=pipeline.organization, label="good fit", pipeline_id=pipeline.pk)
    assert (first.label, first.slug, first.type, first.position) == ("Good Fit", "good_fit", "won", 0)
    assert (second.slug, second.type, second.position) == ("good_fit_2", "active", 1)


def test_what_is_wrong_with_a_status_is_told(pipeline: Pipeline, stages: list[OpportunityStatus]) -> None:
    organization = pipeline.organization
    theirs = factories.PipelineFactory.create()
    wrong: list[tuple[str, dict[str, object]]] = [
        ("label", {"label": "Fit"}),
        ("label", {"label": ""}),
        ("type", {"label": "x", "status_type": "open"}),
        ("type", {"label": "x", "status_type": ["won"]}),
        ("pipeline_id", {"label": "x", "pipeline_id": theirs.pk}),
    ]
    for path, arguments in wrong:
        with pytest.raises(FieldErrors) as problem:
            create_status(organization=organization, **arguments)
        assert list(problem.value.field_errors) == [path]
    other = create_pipeline(organization=organization, name="Renewals")
    create_status(organization=organization, label="Fit", pipeline_id=other.pk)


def test_a_renamed_status_keeps_its_slug(stages: list[OpportunityStatus]) -> None:
    changed = update_status(status=stages[0], label="Match", status_type="won")
    assert (changed.label, changed.slug, changed.type) == ("Match", "fit", "won")


def test_statuses_are_put_in_order_and_moved_between_pipelines(
    organization: Organization, pipeline: Pipeline, stages: list[OpportunityStatus]
) -> None:
    fit, offer, done = stages
    update_pipeline(pipeline=pipeline, statuses=[done.pk, fit.pk])
    assert labels_of(pipeline) == ["Done", "Fit", "Offer"]
    other = create_pipeline(organization=organization, name="Renewals", statuses=[offer.pk])
    create_status(organization=organization, label="done", pipeline_id=other.pk)
    moved = update_status(status=done, pipeline_id=other.pk)
    assert (labels_of(pipeline), labels_of(other)) == (["Fit"], ["Offer", "done", "Done"])
    assert moved.slug == "done_2", "its slug was taken in the other pipeline"
    with pytest.raises(FieldErrors):
        update_pipeline(pipeline=pipeline, statuses=[factories.OpportunityStatusFactory.create().pk])


def test_only_an_empty_pipeline_that_is_not_the_last_is_deleted(
    organization: Organization, pipeline: Pipeline, stages: list[OpportunityStatus]
) -> None:
    with pytest.raises(Invalid, match="has statuses"):
        delete_pipeline(pipeline=pipeline)
    other = create_pipeline(organization=organization, name="Renewals", statuses=[status.pk for status in stages])
    delete_pipeline(pipeline=pipeline)
    with pytest.raises(NotFound):
        update_pipeline(pipeline=pipeline, name="x")
    for status in stages:
        delete_status(status=status)
    with pytest.raises(Invalid, match="last pipeline"):
        delete_pipeline(pipeline=other)


@pytest.mark.django_db
@pytest.mark.parametrize("marked", [False, True])
def test_a_status_in_use_stays_even_if_only_deleted_leads_have_it(marked: bool) -> None:
    opportunity = factories.OpportunityFactory.create()
    if marked:
        Lead.objects.filter(pk=opportunity.lead_id).update(deleted_at=timezone.now())
    with pytest.raises(Invalid, match="used by opportunities"):
        delete_status(status=opportunity.status)


def test_a_status_is_chosen_by_id_by_label_or_by_pipeline(
    organization: Organization, pipeline: Pipeline, stages: list[OpportunityStatus]
) -> None:
    other = create_pipeline(organization=organization, name="Renewals")
    twin = create_status(organization=organization, label="Fit", pipeline_id=other.pk)

    def chosen(current: OpportunityStatus | None = None, **choice: object) -> OpportunityStatus:
        return choose_status(StatusChoice(**choice), organization.pk, current=current)

    fit, offer, _ = stages
    assert chosen() == fit
    assert chosen(offer) == offer
    assert chosen(status_id=offer.pk) == offer
    assert chosen(label="Fit") == fit
    assert chosen(label="Fit", pipeline_id=other.pk) == twin
    assert chosen(twin, label="Fit") == twin
    assert chosen(offer, pipeline_id=pipeline.pk) == offer
    assert chosen(offer, pipeline_id=other.pk) == twin
    theirs = factories.OpportunityStatusFactory.create()
    for path, wrong in (
        ("status_id", {"status_id": theirs.pk}),
        ("pipeline_id", {"pipeline_id": theirs.pipeline_id}),
        ("pipeline_id", {"status_id": fit.pk, "pipeline_id": other.pk}),
        ("status", {"label": "Nowhere"}),
    ):
        with pytest.raises(FieldErrors) as problem:
            chosen(**wrong)
        assert list(problem.value.field_errors) == [path]
    with pytest.raises(Invalid):
        choose_status(StatusChoice(), factories.OrganizationFactory.create().pk)


@pytest.mark.django_db(transaction=True)
def test_a_held_status_cannot_be_deleted_until_its_new_opportunity_is_seen(organization: Organization) -> None:
    status = factories.OpportunityStatusFactory.create(pipeline__organization=organization)
    lead = factories.LeadFactory.create(organization=organization)
    with other_session() as start:
        with transaction.atomic():
            choose_status(StatusChoice(status_id=status.pk), organization.pk)
            deletion = start(lambda: delete_status(status=status))
            wait_until_blocked(deletion)
            factories.OpportunityFactory.create(lead=lead, status=status)
        with pytest.raises(Invalid, match="used by opportunities"):
            deletion.result(DEADLINE_SECONDS)

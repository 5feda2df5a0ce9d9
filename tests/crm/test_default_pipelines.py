"""The pipeline of new organizations, and the migration that gave those from before pipelines one."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from crm.models import OpportunityStatus, Organization, Pipeline
from crm.setup import create_organization
from tests import factories

migration = import_module("crm.migrations.0003_default_pipelines")

STAGES = [
    ("Qualified", "qualified", "active"),
    ("Proposal", "proposal", "active"),
    ("Negotiation", "negotiation", "active"),
    ("Won", "won", "won"),
    ("Lost", "lost", "lost"),
]


def shape(organization: Organization) -> list[tuple[object, ...]]:
    statuses = OpportunityStatus.objects.filter(organization=organization, pipeline__organization=organization)
    return [
        (pipeline.name, pipeline.position, *statuses.filter(pipeline=pipeline).values_list("label", "slug", "type"))
        for pipeline in Pipeline.objects.filter(organization=organization)
    ]


@pytest.mark.django_db
def test_a_new_organization_has_the_stages_that_clients_of_blueai_know() -> None:
    (pipeline,) = shape(create_organization("New"))
    assert [slug for _, slug, _ in pipeline[2:]] == ["lead", "qualified", "proposal", "negotiation", "won", "lost"]


@pytest.mark.django_db
def test_an_organization_without_a_pipeline_gets_one_and_others_stay() -> None:
    old, older = (factories.OrganizationFactory.create() for _ in range(2))
    own = factories.OrganizationFactory.create()
    Pipeline.objects.create(organization=own, name="Mine", position=3)
    for _ in range(2):  # again changes nothing
        migration.add_default_pipelines(apps, connection.schema_editor())
        assert shape(old) == shape(older) == [("Sales", 0, *STAGES)]
        assert shape(own) == [("Mine", 3)]
    connection.check_constraints()

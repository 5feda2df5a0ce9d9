"""The migration that gives organizations from before pipelines the default one."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from crm.models import OpportunityStatus, Organization, Pipeline
from crm.setup import create_organization
from tests import factories

migration = import_module("crm.migrations.0003_default_pipelines")


def shape(organization: Organization) -> list[tuple[object, ...]]:
    statuses = OpportunityStatus.objects.filter(organization=organization, pipeline__organization=organization)
    return [
        (pipeline.name, pipeline.position, *statuses.filter(pipeline=pipeline).values_list("label", "slug", "type"))
        for pipeline in Pipeline.objects.filter(organization=organization)
    ]


@pytest.mark.django_db
def test_an_organization_without_a_pipeline_gets_the_one_that_new_ones_have_and_others_stay() -> None:
    new = create_organization("New")
    old, older = (factories.OrganizationFactory.create() for _ in range(2))
    own = factories.OrganizationFactory.create()
    Pipeline.objects.create(organization=own, name="Mine", position=3)
    for _ in range(2):  # again changes nothing
        migration.add_default_pipelines(apps, connection.schema_editor())
        assert shape(old) == shape(older) == shape(new)
        assert shape(own) == [("Mine", 3)]
    connection.check_constraints()

"""The published schema is valid, and what is served is what it says, whatever is sent."""

from collections.abc import Callable
from io import StringIO

import pytest
import schemathesis
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from pytest_django.live_server_helper import LiveServer
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.wsgi import application
from crm.auth import make_api_key
from crm.models import Dialect, Membership, Organization
from tests import factories
from tests.tenancy.speakers import dialect_of

EXAMPLES_PER_OPERATION = 8
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

schemathesis.serializer.alias("message/rfc822", "application/octet-stream")
schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


def test_the_schema_is_valid_and_nothing_in_it_is_guessed() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_no_operation_names_a_parameter_twice() -> None:
    for path, operations in SchemaGenerator().get_schema(request=None, public=True)["paths"].items():
        for method, operation in operations.items():
            names = [(one["in"], one["name"]) for one in operation.get("parameters", [])]
            assert len(set(names)) == len(names), (method, path, names)


@pytest.mark.django_db
def test_the_schema_and_its_pages_are_served(client: object) -> None:
    assert client.get("/api/schema/").status_code == 200
    assert client.get("/api/docs/").status_code == 200


Credentials = Callable[[str], dict[str, str]]


@pytest.fixture
def credentials(transactional_db: None, organization: Organization, membership: Membership) -> Credentials:
    """The headers of a caller, in the dialect of that path."""
    factories.LeadStatusFactory.create(organization=organization, label="Potential")

    def credentials(path: str) -> dict[str, str]:
        dialect = dialect_of(path)
        headers = {"Authorization": f"Bearer {make_api_key(membership=membership, dialect=dialect)[1]}"}
        return headers | ({"x-customer-id": str(organization.pk)} if dialect is Dialect.GOMEGA else {})

    return credentials


@schema.parametrize()
@settings(
    max_examples=EXAMPLES_PER_OPERATION,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_what_the_schema_says(
    case: schemathesis.Case, credentials: Credentials, live_server: LiveServer
) -> None:
    case.call_and_validate(base_url=live_server.url, headers=credentials(case.operation.path), checks=CHECKS)

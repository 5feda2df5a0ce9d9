"""Every address that is served, from the URL resolver; and which thing each of its parameters names."""

import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

# What stands before a parameter: the kind of thing that it names. A literal, such as a kind of record, is quoted.
KINDS = {
    "api/v1/user/": "user",
    "api/v1/organization/": "organization",
    "api/v1/membership/": "membership",
    "api/v1/group/": "group",
    "api/v1/group/<group>/member/": "user",
    "api/v1/connected_account/": "account",
    "api/v1/lead/": "lead",
    "api/v1/contact/": "contact",
    "api/v1/status/lead/": "lead_status",
    "api/v1/custom_field/": "'lead'",
    "api/v1/custom_field/lead/": "lead_field",
    "api/v1/custom_field_schema/": "'lead'",
    "api/v1/custom_fields/": "'lead'",
    "api/v1/custom_fields/lead/": "lead_field",
    "api/v1/activity/note/": "note",
    "api/v1/activity/call/": "call",
    "api/v1/activity/email/": "email",
    "api/v1/activity/sms/": "sms",
    "api/v1/activity/meeting/": "meeting",
    "api/v1/activity/status_change/lead/": "lead_change",
    "api/v1/activity/status_change/opportunity/": "opportunity_change",
    "api/v1/task/": "task",
    "api/v1/opportunity/": "opportunity",
    "api/v1/status/opportunity/": "status",
    "api/v1/pipeline/": "pipeline",
    "api/v1/email_template/": "template",
    "api/v1/sms_template/": "sms_template",
    "api/v1/sequence/": "sequence",
    "api/v1/sequence_subscription/": "subscription",
    "api/v1/unsubscribe/email/": "address",
    "api/v1/saved_search/": "view",
    "api/v1/bulk_action/import/": "import",
    "api/v1/bulk_action/delete/": "delete",
    "api/v1/bulk_action/edit/": "edit",
    "api/v1/bulk_action/email/": "mailing",
    "api/v1/bulk_action/sequence_subscription/": "subscribing",
    "api/v1/export/": "export",
    "api/v1/export/lead/": "export",
    "api/v1/api-keys/": "key",
    "api/v1/crm/bulk/jobs/": "deals_job",
    "api/v1/crm/companies/": "lead",
    "api/v1/crm/contacts/": "contact",
    "api/v1/crm/deals/": "opportunity",
    "api/v1/crm/pipelines/": "pipeline",
    "api/v1/crm/activities/": "note",
    "api/agents/crm/lead-webhooks/": "webhook",
    "api/agents/crm/lead-webhooks/<webhook>/deliveries/": "delivery",
    "api/agents/crm/leads/bulk/": "leads_job",
}
# Addresses outside of the dialects, none of which knows an organization by its caller: probes, the descriptions of the
# API, and the page behind the signed link of a mail.
NOT_OF_A_DIALECT = {"healthz", "readyz", "metrics", "u/<str:token>", "api/schema/", "api/docs/"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def served() -> dict[str, tuple[str, ...]]:
    """The methods of each address, with `<kind>` for what a parameter names: `api/v1/lead/<lead>/`."""
    found: dict[str, tuple[str, ...]] = {}
    for route, view in _walk(get_resolver()):
        if route not in NOT_OF_A_DIALECT and not route.startswith("admin/"):
            view_class = view.view_class  # type: ignore[attr-defined]
            found[named(route)] = tuple(method for method in METHODS if hasattr(view_class, method.lower()))
    return found


def named(route: str) -> str:
    """Raises KeyError for a parameter that `KINDS` does not know."""
    done = ""
    while route:
        before, parameter, route = re.fullmatch(r"([^<]*)(<[^>]*>)?(.*)", route).groups()  # type: ignore[union-attr]
        done += before
        if parameter:
            kind = KINDS[done]
            done += kind.strip("'") if kind.startswith("'") else f"<{kind}>"
    return done


def _walk(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, object]]:
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route, entry.callback
        else:
            yield from _walk(entry, route)

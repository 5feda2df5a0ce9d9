"""Imports of files, ordered without the API."""

from django.core.files.uploadedfile import SimpleUploadedFile

from bulk_actions import uploads
from bulk_actions.models import BulkAction, Kind
from bulk_actions.services import Order, create_bulk_action
from crm.import_fields import Fields
from crm.models import Membership
from tests.bulk_actions.helpers import caller_of


def import_of(membership: Membership, text: str, **more: object) -> BulkAction:
    upload = uploads.store(SimpleUploadedFile("leads.csv", text.encode()), caller_of(membership))
    records = more.get("records", "leads")
    header = text.partition("\n")[0].split(",")
    params = {
        "upload_id": str(upload.pk), "file": upload.name, "records": records,
        "mapping": Fields(membership.organization_id, records).suggest(header), "match": ["email", "phone"],
        "match_field_id": None, "on_duplicate": "update", "dry_run": False, "sheet": None, "raw": False, **more,
    }  # fmt: skip
    order = Order(
        kind=Kind.IMPORT, params=params, s_query=None, resolved_query={}, sort=[], results_limit=None,
        send_done_email=False, leads_per_minute=None, max_failure_ratio=1,
    )  # fmt: skip
    return create_bulk_action(order=order, caller=caller_of(membership))

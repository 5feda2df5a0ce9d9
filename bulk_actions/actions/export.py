"""Export: what an organization has, written into a file (`bulk_actions.exports`). It changes nothing."""

from bulk_actions.models import BulkAction, Kind
from crm.models import Permission

_WHAT = {"leads": "leads", "contacts": "contacts", "lead_opps": "opportunities of leads", "opps": "opportunities"}


class Export:
    """`params`, resolved at the POST:

    `type` (a key of `_WHAT`), `format` (of `crm.files.writing.FORMATS`), `date_format`, `fields` (null: all),
    `raw`, `bom`, `include_activities`, `include_smart_fields`, `include_custom_objects`, `include_addresses`; of
    `opps` alone what is kept of `Filters` (`bulk_actions.export_filters`).
    """

    kind = Kind.EXPORT
    permission = Permission.EXPORT
    max_leads = None

    def describe(self, action: BulkAction) -> str:
        return f"Export {_WHAT[str(action.params['type'])]} as {str(action.params['format']).upper()}"

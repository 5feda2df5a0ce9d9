"""Files that may hold a lead after it has been removed for good: they are not rewritten, and go with their time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection

# A file that is being imported stays until that is over: of it the time counts from now on.
_FILES = """
    SELECT upload.name, greatest(upload.date_created, max(coalesce(action.date_finished, now()))) + %(ledger)s::interval
    FROM bulk_actions_upload AS upload
    JOIN bulk_actions_bulkaction AS action ON action.organization_id = upload.organization_id
        AND action.kind = 'import' AND action.params->>'upload_id' = upload.id::text
    WHERE upload.organization_id = %(organization)s AND EXISTS (
        SELECT FROM bulk_actions_importrow AS row WHERE row.action_id = action.id AND row.lead_id = %(lead)s)
    GROUP BY upload.id
    UNION ALL
    SELECT file.name, file.date_created + %(export)s::interval
    FROM bulk_actions_exportfile AS file
    WHERE file.organization_id = %(organization)s AND file.date_created > uuid_extract_timestamp(%(lead)s)
    ORDER BY 2, 1
"""


@dataclass(frozen=True)
class KeptFile:
    name: str
    until: datetime


def files_with(lead_id: UUID, organization_id: UUID) -> list[KeptFile]:
    """The uploaded files of imports that were about the lead, and every file exported since it was made."""
    asked = {
        "lead": lead_id,
        "organization": organization_id,
        "ledger": timedelta(days=settings.BULK_LEDGER_DAYS),
        "export": timedelta(days=settings.EXPORT_FILE_DAYS),
    }
    with connection.cursor() as cursor:
        cursor.execute(_FILES, asked)
        return [KeptFile(*row) for row in cursor.fetchall()]

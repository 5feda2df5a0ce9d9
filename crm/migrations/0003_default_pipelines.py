"""Organizations from before pipelines get the one that new organizations start with."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# As `crm.setup` had them when this was written: what this does must not change with it.
_ADD = """
WITH made AS (
    INSERT INTO crm_pipeline (organization_id, name, position)
    SELECT id, 'Sales', 0 FROM crm_organization AS organization
    WHERE NOT EXISTS (SELECT FROM crm_pipeline WHERE organization_id = organization.id)
    RETURNING id, organization_id
)
INSERT INTO crm_opportunitystatus (organization_id, pipeline_id, label, slug, type, position)
SELECT made.organization_id, made.id, stage.label, lower(stage.label), stage.type, stage.position
FROM made
CROSS JOIN (VALUES ('Qualified', 'active', 0), ('Proposal', 'active', 1), ('Negotiation', 'active', 2),
                   ('Won', 'won', 3), ('Lost', 'lost', 4)) AS stage (label, type, position)
"""


def add_default_pipelines(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Set-based: one statement, however many organizations there are."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_ADD)


class Migration(migrations.Migration):
    dependencies = (("crm", "0002_records_of_the_language"),)
    operations = (migrations.RunPython(add_default_pipelines, migrations.RunPython.noop),)

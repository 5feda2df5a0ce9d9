import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import crm.models.base


class Migration(migrations.Migration):
    dependencies = [
        ("bulk_actions", "0030_deals"),
        ("crm", "0030_dialects"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ImportRow",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.IntegerField(help_text="From 1 on, the header and blank rows not counted.")),
                (
                    "line",
                    models.IntegerField(help_text="Of the file, where the row begins; of XLSX the row of the sheet."),
                ),
                ("data", models.JSONField(null=True)),
                ("outcome", models.TextField(null=True)),
                ("lead_id", models.UUIDField(null=True)),
                ("contact_id", models.UUIDField(null=True)),
                ("code", models.TextField(null=True)),
                ("message", models.TextField(null=True)),
                ("column_name", models.TextField(null=True)),
                ("value", models.TextField(help_text="The beginning of the value that is to blame.", null=True)),
                (
                    "action",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bulk_actions.bulkaction",
                    ),
                ),
            ],
            options={
                "ordering": ["number"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("code__isnull", False)),
                        fields=["action", "code", "number"],
                        name="import_row_problem",
                    )
                ],
                "constraints": [models.UniqueConstraint(fields=("action", "number"), name="import_row_number")],
            },
        ),
        # Each row is written twice: what it says, and what became of it. With room for both on a page no index is told.
        migrations.RunSQL("ALTER TABLE bulk_actions_importrow SET (fillfactor = 50)", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Upload",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "date_created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("date_updated", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("name", models.TextField(help_text="As the sender calls it.")),
                ("content_type", models.TextField(blank=True, default="")),
                ("path", models.TextField()),
                ("size", models.BigIntegerField(help_text="Bytes.")),
                ("sha256", models.TextField()),
                (
                    "created_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="crm.organization",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["organization", "sha256"], name="upload_same"),
                    models.Index(fields=["date_created"], name="upload_age"),
                ],
            },
        ),
    ]

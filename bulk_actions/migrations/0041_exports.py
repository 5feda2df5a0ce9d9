import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import crm.models.base


class Migration(migrations.Migration):
    dependencies = [
        ("bulk_actions", "0040_imports"),
        ("crm", "0030_dialects"),
    ]

    operations = [
        migrations.AlterField(
            model_name="bulkaction",
            name="kind",
            field=models.TextField(
                choices=[
                    ("delete", "Delete"),
                    ("edit", "Edit"),
                    ("email", "Email"),
                    ("sequence_subscription", "Sequence Subscription"),
                    ("deal_update", "Deal Update"),
                    ("deal_delete", "Deal Delete"),
                    ("import", "Import"),
                    ("export", "Export"),
                ]
            ),
        ),
        migrations.AlterField(
            model_name="preview",
            name="kind",
            field=models.TextField(
                choices=[
                    ("delete", "Delete"),
                    ("edit", "Edit"),
                    ("email", "Email"),
                    ("sequence_subscription", "Sequence Subscription"),
                    ("deal_update", "Deal Update"),
                    ("deal_delete", "Deal Delete"),
                    ("import", "Import"),
                    ("export", "Export"),
                ]
            ),
        ),
        migrations.CreateModel(
            name="ExportFile",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.TextField()),
                ("n_rows", models.BigIntegerField(db_default=0)),
                ("size", models.BigIntegerField(null=True)),
                ("date_created", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("date_finished", models.DateTimeField(null=True)),
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
                "indexes": [
                    models.Index(fields=["action"], name="export_file_action"),
                    models.Index(fields=["date_created"], name="export_file_age"),
                ],
            },
        ),
    ]

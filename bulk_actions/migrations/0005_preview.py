import crm.models.base
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bulk_actions", "0004_operator_controls"),
        ("crm", "0002_records_of_the_language"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Preview",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.TextField(choices=[("delete", "Delete"), ("edit", "Edit")])),
                ("order", models.JSONField()),
                ("asked", models.JSONField()),
                ("n_leads", models.BigIntegerField()),
                ("date_created", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "created_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
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
                (
                    "used_by",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="bulk_actions.bulkaction",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["date_created"], name="preview_age"),
                    models.Index(
                        condition=models.Q(("used_by__isnull", False)), fields=["used_by"], name="preview_used_by"
                    ),
                ],
            },
        ),
    ]

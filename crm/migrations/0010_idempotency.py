import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("crm", "0004_search_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="Counter",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.TextField(unique=True)),
                ("value", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="IdempotentAnswer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("owner", models.UUIDField()),
                ("path", models.TextField(help_text="Percent-encoded.")),
                ("key", models.TextField()),
                (
                    "request_sha256",
                    models.TextField(help_text="Of the body and the parameters, in one canonical form."),
                ),
                ("status", models.SmallIntegerField()),
                ("headers", models.JSONField(default=dict)),
                ("body", models.TextField(help_text="As it was sent.")),
                ("date_created", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="PurgedLead",
            fields=[
                ("lead_id", models.UUIDField(primary_key=True, serialize=False)),
                (
                    "addresses",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        help_text="Mail addresses of its contacts.",
                        size=None,
                    ),
                ),
                ("date_created", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.AddIndex(
            model_name="outboxmail",
            index=models.Index(
                condition=models.Q(("state", "unknown")), fields=["date_created"], name="outbox_unknown"
            ),
        ),
        migrations.AddField(
            model_name="idempotentanswer",
            name="organization",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.organization",
            ),
        ),
        migrations.AddField(
            model_name="purgedlead",
            name="organization",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.organization",
            ),
        ),
        migrations.AddIndex(
            model_name="idempotentanswer",
            index=models.Index(fields=["date_created"], name="idempotent_answer_age"),
        ),
        migrations.AddConstraint(
            model_name="idempotentanswer",
            constraint=models.UniqueConstraint(fields=("owner", "path", "key"), name="idempotent_answer_once"),
        ),
        migrations.AddIndex(
            model_name="purgedlead",
            index=models.Index(fields=["organization", "lead_id"], name="purged_lead_organization"),
        ),
    ]

import django.contrib.postgres.fields
from django.db import migrations, models

KINDS = [("delete", "Delete"), ("edit", "Edit"), ("email", "Email")]


class Migration(migrations.Migration):
    dependencies = [
        ("bulk_actions", "0005_preview"),
        ("crm", "0020_mail_and_sequences"),
    ]

    operations = [
        migrations.CreateModel(
            name="BulkEmail",
            fields=[],
            options={
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("bulk_actions.bulkaction",),
        ),
        migrations.RemoveIndex(
            model_name="batch",
            name="batch_progress",
        ),
        migrations.AddField(
            model_name="batch",
            name="mail_ids",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), null=True, size=None),
        ),
        migrations.AddField(
            model_name="batch",
            name="mail_places",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), null=True, size=None),
        ),
        migrations.AddField(
            model_name="batch",
            name="n_objects",
            field=models.IntegerField(null=True),
        ),
        migrations.AddField(
            model_name="bulkaction",
            name="n_unknown",
            field=models.BigIntegerField(help_text="Mails of which nobody knows whether they left.", null=True),
        ),
        migrations.AddField(
            model_name="leadoutcome",
            name="email",
            field=models.TextField(null=True),
        ),
        migrations.AlterField(
            model_name="bulkaction",
            name="kind",
            field=models.TextField(choices=KINDS),
        ),
        migrations.AlterField(
            model_name="leadoutcome",
            name="outcome",
            field=models.TextField(choices=[("skipped", "Skipped"), ("failed", "Failed"), ("unknown", "Unknown")]),
        ),
        migrations.AlterField(
            model_name="preview",
            name="kind",
            field=models.TextField(choices=KINDS),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                fields=["action", "date_done"],
                include=["n_leads", "n_objects", "n_succeeded", "n_unchanged", "n_skipped", "n_failed"],
                name="batch_progress",
            ),
        ),
    ]

import django.contrib.postgres.fields
from django.db import migrations, models

KINDS = [
    ("delete", "Delete"),
    ("edit", "Edit"),
    ("email", "Email"),
    ("sequence_subscription", "Sequence Subscription"),
]


class Migration(migrations.Migration):
    dependencies = [("bulk_actions", "0006_bulk_email")]

    operations = [
        migrations.CreateModel(
            name="BulkSequenceSubscription",
            fields=[],
            options={
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("bulk_actions.bulkaction",),
        ),
        migrations.AddField(
            model_name="batch",
            name="subscription_ids",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), null=True, size=None),
        ),
        migrations.AddField(
            model_name="batch",
            name="subscription_places",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), null=True, size=None),
        ),
        migrations.AddField(
            model_name="leadoutcome",
            name="subscription_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AlterField(
            model_name="bulkaction",
            name="kind",
            field=models.TextField(choices=KINDS),
        ),
        migrations.AlterField(
            model_name="preview",
            name="kind",
            field=models.TextField(choices=KINDS),
        ),
    ]

from django.db import migrations, models

KINDS = [
    ("delete", "Delete"),
    ("edit", "Edit"),
    ("email", "Email"),
    ("sequence_subscription", "Sequence Subscription"),
    ("deal_update", "Deal Update"),
    ("deal_delete", "Deal Delete"),
    ("import", "Import"),
]


class Migration(migrations.Migration):
    dependencies = [("bulk_actions", "0007_bulk_sequence_subscription")]

    operations = [
        migrations.AlterField(
            model_name=model_name,
            name="kind",
            field=models.TextField(choices=KINDS),
        )
        for model_name in ("bulkaction", "preview")
    ]

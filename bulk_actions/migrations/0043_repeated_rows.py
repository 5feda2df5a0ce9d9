from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bulk_actions", "0042_tried_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="bulkaction",
            name="n_repeated",
            field=models.BigIntegerField(
                help_text="Rows of a file about a record that an earlier row is about.",
                null=True,
            ),
        ),
    ]

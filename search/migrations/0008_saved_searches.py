from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("search", "0007_refresh_faster"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="savedsearch",
            options={"verbose_name_plural": "saved searches"},
        ),
    ]

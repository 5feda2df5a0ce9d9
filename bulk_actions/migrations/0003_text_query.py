from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bulk_actions", "0002_plain_arrays")]
    operations = [migrations.AddField("bulkaction", "query", models.TextField(null=True))]

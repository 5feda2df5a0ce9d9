from django.db import migrations

from search.index_sql import CREATE, DROP


class Migration(migrations.Migration):
    dependencies = [("search", "0002_records_of_the_language")]
    operations = [migrations.RunSQL(CREATE, DROP)]

from django.db import migrations

from search import index_sql


class Migration(migrations.Migration):
    dependencies = [("search", "0006_refresh_few")]
    operations = [migrations.RunSQL(index_sql.HASTEN, migrations.RunSQL.noop)]

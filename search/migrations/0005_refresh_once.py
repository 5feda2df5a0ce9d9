from django.db import migrations

from search import index_sql


class Migration(migrations.Migration):
    dependencies = [("search", "0004_faster_text")]
    operations = [migrations.RunSQL(index_sql.REFRESH, migrations.RunSQL.noop)]

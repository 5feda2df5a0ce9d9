from django.db import migrations

from search import index_sql


class Migration(migrations.Migration):
    """The refresh of 0005 anew, for databases that hold its first form: that read every lead at each commit."""

    dependencies = [("search", "0005_refresh_once")]
    operations = [migrations.RunSQL(index_sql.REFRESH, migrations.RunSQL.noop)]

from django.db import migrations

from search import functions, index_sql


class Migration(migrations.Migration):
    dependencies = [("search", "0003_text_index")]
    operations = [
        migrations.RunSQL(functions.CREATE, migrations.RunSQL.noop),
        migrations.RunSQL(index_sql.IMPROVE, index_sql.WORSEN),
    ]

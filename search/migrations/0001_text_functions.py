from django.db import migrations

from search.functions import CREATE, DROP


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(CREATE, DROP)]

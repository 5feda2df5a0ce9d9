from django.db import migrations, models

import crm.match_keys


class Migration(migrations.Migration):
    dependencies = [
        ("crm", "0030_dialects"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                models.F("organization"),
                crm.match_keys.EmailKey("email"),
                condition=models.Q(("email__isnull", False)),
                name="lead_email_key",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                models.F("organization"),
                crm.match_keys.PhoneKey("phone"),
                condition=models.Q(("phone__isnull", False)),
                name="lead_phone_key",
            ),
        ),
    ]

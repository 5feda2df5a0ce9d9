from datetime import UTC, datetime

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("crm", "0020_mail_and_sequences"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="outboxmail",
            index=models.Index(
                condition=models.Q(("not_before__gt", datetime(2500, 1, 1, tzinfo=UTC)), ("state", "reserved")),
                fields=["source_id"],
                name="outbox_set_aside",
            ),
        ),
        migrations.AddIndex(
            model_name="inboundmail",
            index=models.Index(fields=["date_created"], name="inbound_age"),
        ),
        migrations.AlterField(model_name="outboxmail", name="message_id", field=models.TextField()),
        migrations.AddConstraint(
            model_name="outboxmail",
            constraint=models.UniqueConstraint(fields=["message_id"], name="outbox_message_id"),
        ),
    ]

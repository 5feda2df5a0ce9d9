import crm.models.base
import django.contrib.postgres.fields
import django.db.models.constraints
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("crm", "0010_idempotency"),
    ]

    operations = [
        migrations.CreateModel(
            name="EmailTemplate",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "date_created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("date_updated", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("name", models.TextField()),
                ("subject", models.TextField()),
                ("body", models.TextField(help_text="HTML.")),
                ("text", models.TextField(editable=False)),
                ("undefined", models.TextField(choices=[("blank", "Blank"), ("error", "Error")], default="blank")),
                (
                    "cc",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "bcc",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                ("attachments", models.JSONField(blank=True, default=list)),
                ("is_shared", models.BooleanField(default=False)),
                ("is_archived", models.BooleanField(default=False)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Sequence",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "date_created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("date_updated", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("name", models.TextField()),
                ("timezone", models.TextField(help_text="IANA zone name.")),
                (
                    "status",
                    models.TextField(
                        choices=[("active", "Active"), ("paused", "Paused"), ("draft", "Draft")], default="active"
                    ),
                ),
                ("schedule", models.JSONField(blank=True, null=True)),
                ("trigger_query", models.JSONField(blank=True, null=True)),
                ("allow_manual_enrollment", models.BooleanField(default=True)),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SequenceStep",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.IntegerField()),
                ("step_type", models.TextField(choices=[("email", "Email"), ("call", "Call"), ("sms", "Sms")])),
                ("delay", models.BigIntegerField(default=0)),
                (
                    "threading",
                    models.TextField(
                        blank=True, choices=[("new_thread", "new thread"), ("old_thread", "old thread")], null=True
                    ),
                ),
                ("required", models.BooleanField(default=True)),
                ("step_allowed_delay", models.BigIntegerField(blank=True, null=True)),
            ],
            options={
                "ordering": ["position"],
            },
        ),
        migrations.CreateModel(
            name="SequenceSubscription",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "date_created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("date_updated", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("contact_email", models.TextField()),
                ("sender_name", models.TextField()),
                ("sender_email", models.TextField()),
                (
                    "calls_assigned_to",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), blank=True, null=True, size=None
                    ),
                ),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("active", "Active"),
                            ("paused", "Paused"),
                            ("finished", "Finished"),
                            ("goal", "Goal"),
                            ("error", "Error"),
                        ],
                        default="active",
                    ),
                ),
                ("status_reason", models.TextField(blank=True, null=True)),
                ("start_date", models.DateTimeField(blank=True, null=True)),
                ("next_at", models.DateTimeField(blank=True, null=True)),
                ("steps_done", models.IntegerField(default=0)),
                (
                    "thread_message_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                ("thread_subject", models.TextField(blank=True, default="")),
                (
                    "bulk_action_id",
                    models.UUIDField(blank=True, help_text="The job that made it, if one did.", null=True),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SmsTemplate",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "date_created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("date_updated", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("name", models.TextField()),
                ("text", models.TextField()),
                (
                    "status",
                    models.TextField(choices=[("active", "Active"), ("archived", "Archived")], default="active"),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="daily_limit",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="date_updated",
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="hourly_limit",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="identities",
            field=models.JSONField(blank=True, default=list, help_text='Further senders: [{"email", "name"}].'),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="inbound_token",
            field=models.TextField(blank=True, default="", editable=False, help_text="Of its inbound address."),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="minimum_gap_seconds",
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="paused_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="waits_until",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="Its limits were used up then.", null=True
            ),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="pause_seconds",
            field=models.FloatField(default=0, editable=False, help_text="How long the last pause was to be."),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="send_error",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="send_status",
            field=models.TextField(choices=[("ok", "ok"), ("error", "error")], default="ok"),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="smtp_host",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="smtp_password",
            field=models.TextField(blank=True, default="", editable=False),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="smtp_port",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="smtp_security",
            field=models.TextField(
                choices=[("none", "None"), ("starttls", "Starttls"), ("ssl", "Ssl")], default="starttls"
            ),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="smtp_username",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="emailaccount",
            name="user",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="organization",
            name="postal_address",
            field=models.TextField(blank=True, default="", help_text="Shown beside the unsubscribe link."),
        ),
        migrations.AddField(
            model_name="organization",
            name="require_unsubscribe_link",
            field=models.BooleanField(default=False, help_text="Every bulk and sequence mail shows one."),
        ),
        migrations.AddField(
            model_name="outboxmail",
            name="activity",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.activity",
            ),
        ),
        migrations.AddField(
            model_name="outboxmail",
            name="contact",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.contact",
            ),
        ),
        migrations.AddField(
            model_name="outboxmail",
            name="lead",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.lead",
            ),
        ),
        migrations.AddField(
            model_name="suppression",
            name="detail",
            field=models.TextField(blank=True, default="", help_text="What the server or the person said."),
        ),
        migrations.RemoveIndex(model_name="outboxmail", name="outbox_due"),
        migrations.AddIndex(
            model_name="outboxmail",
            index=models.Index(
                condition=models.Q(("state", "reserved")), fields=["account", "not_before", "id"], name="outbox_due"
            ),
        ),
        migrations.AddIndex(
            model_name="outboxmail",
            index=models.Index(
                condition=models.Q(("state", "error")), fields=["organization", "address"], name="outbox_refused"
            ),
        ),
        migrations.AlterField(
            model_name="outboxmail",
            name="date_sent",
            field=models.DateTimeField(help_text="When it left; of an unknown one, when it may have.", null=True),
        ),
        migrations.AddIndex(
            model_name="outboxmail",
            index=models.Index(
                condition=models.Q(("date_sent__isnull", False)), fields=["account", "date_sent"], name="outbox_account"
            ),
        ),
        migrations.AddIndex(
            model_name="outboxmail",
            index=models.Index(
                condition=models.Q(("purpose", "notice"), _negated=True),
                fields=["source_id", "state"],
                name="outbox_source",
            ),
        ),
        migrations.AddIndex(
            model_name="outboxmail",
            index=models.Index(
                condition=models.Q(("activity__isnull", False)), fields=["activity"], name="outbox_activity"
            ),
        ),
        migrations.AddIndex(
            model_name="outboxmail",
            index=models.Index(condition=models.Q(("lead__isnull", False)), fields=["lead"], name="outbox_lead"),
        ),
        migrations.AddField(
            model_name="emailtemplate",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="emailtemplate",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="crm.organization"
            ),
        ),
        migrations.AddField(
            model_name="emailtemplate",
            name="updated_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="sequence",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="sequence",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="crm.organization"
            ),
        ),
        migrations.AddField(
            model_name="sequence",
            name="owner",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="sequence",
            name="updated_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="sequencestep",
            name="email_template",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="steps",
                to="crm.emailtemplate",
            ),
        ),
        migrations.AddField(
            model_name="sequencestep",
            name="sequence",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="steps", to="crm.sequence"
            ),
        ),
        migrations.AddField(
            model_name="sequencesubscription",
            name="contact",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="subscriptions", to="crm.contact"
            ),
        ),
        migrations.AddField(
            model_name="sequencesubscription",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="sequencesubscription",
            name="lead",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.lead",
            ),
        ),
        migrations.AddField(
            model_name="sequencesubscription",
            name="next_step",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.sequencestep",
            ),
        ),
        migrations.AddField(
            model_name="sequencesubscription",
            name="organization",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="crm.organization"
            ),
        ),
        migrations.AddField(
            model_name="sequencesubscription",
            name="sender_account",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.emailaccount",
            ),
        ),
        migrations.AddField(
            model_name="sequencesubscription",
            name="sequence",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="subscriptions",
                to="crm.sequence",
            ),
        ),
        migrations.AddField(
            model_name="sequencesubscription",
            name="updated_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="smstemplate",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="smstemplate",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="crm.organization"
            ),
        ),
        migrations.AddField(
            model_name="smstemplate",
            name="updated_by",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="sequencestep",
            name="sms_template",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="steps",
                to="crm.smstemplate",
            ),
        ),
        migrations.AddIndex(
            model_name="sequencesubscription",
            index=models.Index(
                condition=models.Q(("status", "active")), fields=["next_at", "id"], name="subscription_due"
            ),
        ),
        migrations.AddIndex(
            model_name="sequencesubscription",
            index=models.Index(fields=["sequence", "status"], name="subscription_counts"),
        ),
        migrations.AddIndex(
            model_name="sequencesubscription",
            index=models.Index(fields=["lead"], name="subscription_lead"),
        ),
        migrations.AddIndex(
            model_name="sequencesubscription",
            index=models.Index(
                condition=models.Q(("status", "active")), fields=["sender_account"], name="subscription_account"
            ),
        ),
        migrations.AddField(
            model_name="sequencesubscription",
            name="waiting_task",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="crm.task",
            ),
        ),
        migrations.AddIndex(
            model_name="sequencesubscription",
            index=models.Index(
                django.db.models.functions.text.Lower("contact_email"),
                condition=models.Q(("status", "active")),
                name="subscription_address",
            ),
        ),
        migrations.AddIndex(
            model_name="sequencesubscription",
            index=models.Index(
                condition=models.Q(("waiting_task__isnull", False)), fields=["waiting_task"], name="subscription_task"
            ),
        ),
        migrations.AddConstraint(
            model_name="sequencesubscription",
            constraint=models.UniqueConstraint(fields=("sequence", "contact"), name="subscription_once"),
        ),
        migrations.AddConstraint(
            model_name="sequencestep",
            constraint=models.UniqueConstraint(
                deferrable=django.db.models.constraints.Deferrable["DEFERRED"],
                fields=("sequence", "position"),
                name="sequence_step_place",
            ),
        ),
        migrations.CreateModel(
            name="InboundMail",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=crm.models.base.UuidV7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("message_id", models.TextField(help_text="As sent; a digest of the content where it has none.")),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("hard_bounce", "Hard Bounce"),
                            ("soft_bounce", "Soft Bounce"),
                            ("complaint", "Complaint"),
                            ("unsubscribe", "Unsubscribe"),
                            ("reply", "Reply"),
                            ("automatic", "Automatic"),
                            ("unrelated", "Unrelated"),
                        ],
                        default="unrelated",
                    ),
                ),
                (
                    "address",
                    models.TextField(blank=True, default="", help_text="Whose mailbox it speaks of, or who wrote it."),
                ),
                ("detail", models.TextField(blank=True, default="", help_text="What a server said in it.")),
                ("date_created", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "mail",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="crm.outboxmail",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="crm.organization",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "inbound mail",
                "constraints": [models.UniqueConstraint(fields=("organization", "message_id"), name="inbound_once")],
            },
        ),
        migrations.AddIndex(
            model_name="contactemail",
            index=models.Index(
                models.F("organization"),
                django.db.models.functions.text.Left(
                    django.db.models.functions.text.Lower(django.db.models.functions.text.Trim("email")), 254
                ),
                name="contact_email_address",
            ),
        ),
        migrations.AddIndex(
            model_name="outboxmail",
            index=models.Index(
                condition=models.Q(("state", "reserved"), models.Q(("purpose", "notice"), _negated=True)),
                fields=["address"],
                name="outbox_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="suppression",
            index=models.Index(fields=["organization", "id"], name="suppression_list"),
        ),
    ]

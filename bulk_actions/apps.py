from django.apps import AppConfig


class BulkActionsConfig(AppConfig):
    name = "bulk_actions"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from bulk_actions.mails import look_after, open_jobs
        from bulk_actions.targets import BULK_ACTION_NODE
        from crm.mail.delivery import register_gate, register_listener
        from crm.models import Purpose
        from search.external import register

        register(BULK_ACTION_NODE)
        register_gate(Purpose.BULK, open_jobs)
        register_listener(Purpose.BULK, look_after)

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Makes the project's own commands (`up`, `demo`) known to `manage.py`, and registers the checks."""

    name = "config"

    def ready(self) -> None:
        from config import checks  # noqa: F401 - its import registers them

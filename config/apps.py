from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Makes the project's own commands (`up`, `demo`) known to `manage.py`."""

    name = "config"

"""A delivery worker as a process of its own, to be killed or frozen. Argument: the name of the test's database."""

import os
import sys
from time import sleep

os.environ["DROVER_ROLE"] = "mail"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django
from django.conf import settings

settings.DATABASES["default"]["NAME"] = sys.argv[1]
# The limit of production, cut short so that a test need not wait for it.
settings.DATABASES["default"]["OPTIONS"]["options"] += " -c idle_in_transaction_session_timeout=1s"
django.setup()

from django.db import DatabaseError, connection  # noqa: E402 - needs the settings

from crm.mail.delivery import deliver_slice  # noqa: E402 - needs the models

while True:
    try:
        if not deliver_slice(1):
            sleep(0.05)
    except DatabaseError:
        connection.close()

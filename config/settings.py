"""All settings. The environment is read here and nowhere else (the embedded parts' places: `config.home`)."""

import os
from urllib.parse import urlsplit

from config import values
from config.home import Home
from config.logs import logging_settings
from config.values import env

HOME = Home.from_environment()
# web, worker, files, mail, control, beat, command: names connections and logs
ROLE = env.str("DROVER_ROLE", default="command")

DEBUG = False
SECRET_KEY = values.secret_key(env.str("SECRET_KEY", default="") or HOME.secret("secret_key"))
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ENCRYPTION_KEYS = values.encryption_keys(env.list("ENCRYPTION_KEYS", default=[]) or [HOME.secret("encryption_key")])
PORT = values.whole_number("PORT", default=8000, lowest=1, highest=65535)
DEMO_LEADS = values.whole_number("DEMO_LEADS", default=20_000, lowest=100, highest=10_000_000)
# Base of mailed links
PUBLIC_URL = values.public_address(env.str("PUBLIC_URL", default="") or f"http://127.0.0.1:{PORT}")
# Whoever reads /metrics must show it as a bearer token; empty: anybody may
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_STATEMENT_TIMEOUT_SECONDS = 3
_public = urlsplit(PUBLIC_URL)
SERVED_BY_TLS = _public.scheme == "https"

# Clients address us by whatever name their network has for us; no answer is built from the Host header.
ALLOWED_HOSTS = ["*"]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = SERVED_BY_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SERVED_BY_TLS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if SERVED_BY_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SERVED_BY_TLS

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "crm",
    "search",
    "bulk_actions",
    "config",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.RequestId",
    "config.middleware.TidyPath",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False  # both forms are served; a redirect would lose the body of a POST
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_USER_MODEL = "crm.User"
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = HOME.path / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Of several hosts one that they share: a folder that all of them have, or an S3-compatible store
    "exports": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": HOME.path / "exports", "file_permissions_mode": 0o600},
    },
    "uploads": {  # files that are to be imported; as "exports"
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": HOME.path / "uploads", "file_permissions_mode": 0o600},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # a source checkout serves the admin without a collectstatic
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024  # bytes of a JSON body; more is a 400 in the dialect's shape

# --- database -------------------------------------------------------------------------------------------------------
WORKER_IDLE_IN_TRANSACTION_SECONDS = 8  # a worker frozen or cut off for longer loses its transaction, so its batches
WORKER_TRANSACTION_SECONDS = 30  # no batch takes this long; loading lifts the limit for itself
MAIL_IDLE_IN_TRANSACTION_SECONDS = 20  # longer than SMTP_TIMEOUT_SECONDS, or a slow server would cost us the evidence
SMTP_TIMEOUT_SECONDS = 10

_session = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
if ROLE in ("worker", "files"):
    _session["idle_in_transaction_session_timeout"] = f"{WORKER_IDLE_IN_TRANSACTION_SECONDS}s"
    _session["transaction_timeout"] = f"{WORKER_TRANSACTION_SECONDS}s"
elif ROLE == "mail":
    _session["idle_in_transaction_session_timeout"] = f"{MAIL_IDLE_IN_TRANSACTION_SECONDS}s"
elif ROLE in ("web", "control"):
    _session["idle_in_transaction_session_timeout"] = "30s"
DATABASE_URL = env.str("DATABASE_URL", default="")  # empty: the embedded PostgreSQL of this home
_database = values.database(DATABASE_URL or HOME.database_url())
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 60 if ROLE == "web" else 0,
        "CONN_HEALTH_CHECKS": True,
        "TEST": {"NAME": env.str("DROVER_TEST_DATABASE", default="test_drover")},
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            "application_name": f"drover-{ROLE}",
            "connect_timeout": 5,
            # A session whose network is gone must end on our side too, or it would hold its worker for minutes.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,  # milliseconds
            "options": " ".join(f"-c {name}={value}" for name, value in _session.items()),
        },
    }
}

# --- Redis: doorbells and rate counters; it may be wiped at any time --------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")  # empty: the embedded Redis of this home
_cache_address, _broker_address = (
    values.redis_addresses(REDIS_URL) if REDIS_URL else (HOME.redis_url(1), HOME.broker_url())
)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": _cache_address,
        "KEY_PREFIX": "drover",
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
}
CELERY_BROKER_URL = _broker_address
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 1800,  # seconds; longer than any task may live
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "socket_connect_timeout": 2,
    "interval_start": 0,
    "interval_step": 0.1,
    "max_retries": 1,  # a publish from a request gives up at once: the sweeper rings later
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True  # a killed child's doorbell rings again; unfinished_starts ends loops
CELERY_TASK_TIME_LIMIT = 720  # seconds; loading alone may take 600
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20.0
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TASK_DEFAULT_QUEUE = "bulk"
CELERY_TASK_ROUTES = {
    "bulk_actions.tasks.run": {"queue": "bulk"},
    "bulk_actions.tasks.write_file": {"queue": "files"},
    "bulk_actions.tasks.sweep": {"queue": "control"},
    "bulk_actions.tasks.purge": {"queue": "control"},
    "crm.tasks.deliver_mail": {"queue": "mail"},
    "crm.tasks.sweep_mail": {"queue": "control"},
    "crm.tasks.tick_sequences": {"queue": "control"},
    "crm.tasks.deliver_webhooks": {"queue": "mail"},
    "crm.tasks.sweep_webhooks": {"queue": "control"},
}
SWEEP_SECONDS = 2
SEQUENCE_TICK_SECONDS = 5  # a step is due on the minute or so; an idle tick is one look into an index
PURGE_SECONDS = 60
# The sender's clock dates a message and the worker's own drops it: this must be more than two hosts' clocks differ by.
# After an outage at most 30 sweeps of each kind wait. They are run, not skipped: one takes 10 ms when there is little
# to do, and 0.2 s with 60 running jobs and 5,000 waiting ones. A purge may take 10 s, and sweeps wait for it.
SWEEP_EXPIRY_SECONDS = 60
_sweep = {"schedule": SWEEP_SECONDS, "options": {"expires": SWEEP_EXPIRY_SECONDS}}
CELERY_BEAT_SCHEDULE = {
    "sweep-bulk-actions": {"task": "bulk_actions.tasks.sweep", **_sweep},
    "sweep-mail": {"task": "crm.tasks.sweep_mail", **_sweep},
    "sweep-webhooks": {"task": "crm.tasks.sweep_webhooks", **_sweep},
    "tick-sequences": {"task": "crm.tasks.tick_sequences", **_sweep, "schedule": SEQUENCE_TICK_SECONDS},
    "purge": {"task": "bulk_actions.tasks.purge", "schedule": PURGE_SECONDS, "options": {"expires": PURGE_SECONDS}},
}

# --- mail -------------------------------------------------------------------------------------------------------------
# smtp:// or smtp+tls:// or smtp+ssl://; empty: the sink of this home
EMAIL_URL = values.smtp_address(env.str("EMAIL_URL", default=""))
MAIL_CHUNK = 10  # mails in hand at once: what a killed delivery worker leaves `unknown` at most
MAIL_CHUNK_SECONDS = 0.2
# Else the hosts of accounts and webhooks must be public addresses: members could reach into our own network with them
ALLOW_PRIVATE_SMTP_HOSTS = env.bool("ALLOW_PRIVATE_SMTP_HOSTS", default=False)
ALLOW_PRIVATE_WEBHOOK_HOSTS = env.bool("ALLOW_PRIVATE_WEBHOOK_HOSTS", default=False)
# Bounces, replies to `List-Unsubscribe` mails and the like go to addresses at this domain; empty: to the senders
INBOUND_MAIL_DOMAIN = values.mail_domain(env.str("INBOUND_MAIL_DOMAIN", default=""))
INBOUND_MAIL_MAX_BYTES = 25 * 1024 * 1024  # what mailbox providers let through, attachments included
NOTICE_SENDER = env.str("NOTICE_SENDER", default="Drover <drover@localhost.localdomain>")

# --- bulk actions -----------------------------------------------------------------------------------------------------
WORKER_STOP_GRACE_SECONDS = 30  # a stopping worker may finish its slice; then it is killed
BULK_SLICE_SECONDS = 5  # then other jobs get their turn
BULK_SLICE_SECONDS_WHEN_OTHERS_WAIT = 2  # of all running jobs of one organization together
BULK_STORED_BATCH = 1000  # leads in one stored batch
BULK_BATCH_TARGET_SECONDS = 0.2  # one transaction; a pause waits for at most about this
IMPORT_BATCH_TARGET_SECONDS = 0.5  # the same of imports, of which a transaction costs more: 10 % less for a row
BULK_MAX_BATCHES_PER_TRANSACTION = 10
# Bulk workers of all hosts together; one job uses at most so many at once
BULK_WORKERS = values.whole_number("WORKERS", default=2, lowest=1, highest=64)
# The jobs of one organization beyond these wait
BULK_MAX_RUNNING_PER_ORGANIZATION = values.whole_number(
    "BULK_MAX_RUNNING_PER_ORGANIZATION", default=3, lowest=1, highest=1000
)
BULK_DOORBELL_SECONDS = 30  # a doorbell older than this is dropped; the sweeper rings anew
# A bell that nobody has answered for so long, while no message waits, was taken by a worker that is dead or frozen
BULK_BELL_LOST_SECONDS = 5
BULK_CRASH_GRACE_SECONDS = 2  # an isolated batch tried longer ago, and held by nobody, has killed its worker
BULK_FAILURES_JUDGED_AFTER = 200  # leads
BULK_PAUSE_GRACE_SECONDS = 2  # then the sessions that still hold a paused job's gate are ended
BULK_RESUME_DAYS = 7
LEAD_PURGE_DAYS = 30
BULK_LEDGER_DAYS = 90  # after a job's end; then only its counts are known
EXPORT_WRITERS = 8  # files written at once by a worker of the queue `files`, in threads; each has two sessions
EXPORT_FILE_DAYS = 7  # from when it was begun
EXPORT_STALL_SECONDS = 300  # that writing a file may wait for its storage, its transaction open
EXPORT_LINK_SECONDS = 6 * 3600  # then it is asked for again
INBOUND_MAIL_DAYS = 90  # what is noted of a message that came in; one that comes again is known for so long
SEARCH_STATEMENT_TIMEOUT_SECONDS = 10
SEARCH_CURSOR_SECONDS = 300  # so long a page may be asked for after the one before
SEARCH_WALK_LIMIT = 10_000  # objects that one walk by cursor gives at most
LOADING_STATEMENT_TIMEOUT_SECONDS = 600

# --- files that are read ----------------------------------------------------------------------------------------------
FILE_MAX_BYTES = 1_000_000 * values.whole_number("FILE_MAX_MEGABYTES", default=500, lowest=1, highest=10_000)
FILE_MAX_ROWS = 1_048_576  # as many as a sheet of a spreadsheet has
FILE_MAX_COLUMNS = 1_000
FILE_MAX_CELL_CHARACTERS = 32_000
FILE_MAX_ROW_CHARACTERS = 400_000  # also of one line: no more than that is ever in memory
FILE_MAX_JSON_LINE_BYTES = 1024 * 1024
FILE_MAX_ZIP_ENTRIES = 2_000  # parts of an XLSX file; ordinary ones have some ten
FILE_MAX_ZIP_RATIO = 100  # unzipped to zipped bytes, of a part of more than 1 MB
FILE_MAX_UNZIPPED_BYTES = 1_000_000_000

# --- API --------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["crm.api.close.authentication.CloseAuthentication"],
    "DEFAULT_SCHEMA_CLASS": "crm.api.close.openapi.CloseSchema",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_FILTER_BACKENDS": [],
}
# Per key and endpoint group; threefold per organization
API_REQUESTS_PER_SECOND = values.whole_number("API_REQUESTS_PER_SECOND", default=100, lowest=1, highest=1_000_000)
BLUEAI_REQUESTS_PER_MINUTE = 600  # per key, or per user who signed in
BLUEAI_BULK_REQUESTS_PER_MINUTE = 60  # to `/api/v1/crm/bulk/`, counted apart
BLUEAI_SIGN_INS_PER_EMAIL = 10  # tries within five minutes, for one mail address
BLUEAI_SIGN_INS_PER_ADDRESS = 60  # the same from one network address, which an office may share
IDEMPOTENCY_WAIT_SECONDS = 5  # for a request with the same Idempotency-Key that is under way; then a 409
SPECTACULAR_SETTINGS = {
    "TITLE": "Drover",
    "DESCRIPTION": "Bulk work over CRM leads as durable jobs.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [],  # choices stand where they are used: many kinds of records have a `type` or a `status`
}
UNFOLD = {
    "SITE_TITLE": "Drover",
    "SITE_HEADER": "Drover",
    "SITE_URL": "/api/docs/",
    "DASHBOARD_CALLBACK": "bulk_actions.admin.dashboard.add_engine_state",
}
LOGGING = logging_settings(json=not os.isatty(2))

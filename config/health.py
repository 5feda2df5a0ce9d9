"""What a load balancer or a person asks: does the process live, and can it serve?"""

import redis
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

PROBE_SECONDS = 0.5


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """503 when the database does not answer. Without the broker requests still work, and jobs wait: `degraded`."""
    database, broker = _database_answers(), _broker_answers()
    status = "unavailable" if not database else "ok" if broker else "degraded"
    told = {True: "ok", False: "no answer"}
    body = {"status": status, "database": told[database], "broker": told[broker]}
    return JsonResponse(body, status=200 if database else 503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def _broker_answers() -> bool:
    address = settings.CACHES["default"]["LOCATION"]  # the broker's server, as redis-py spells it
    try:
        with redis.Redis.from_url(
            address, socket_timeout=PROBE_SECONDS, socket_connect_timeout=PROBE_SECONDS, retry=None
        ) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False

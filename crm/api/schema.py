"""What the API descriptions of the dialects share."""

from drf_spectacular.openapi import AutoSchema

from crm.idempotency import DAYS, HEADER, PATTERN, REPLAYED

_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": HEADER,
    "schema": {"type": "string", "pattern": PATTERN},
    "description": f"Sent again with the same key within {DAYS} days, the request is answered as the first time, with "
    f"`{REPLAYED}: true`, and not carried out again. 409: the key came before with another body, or is under way.",
}


class CreatingSchema(AutoSchema):
    """Adds `Idempotency-Key` to each POST of a view that `creates`."""

    @property
    def takes_key(self) -> bool:
        return self.method == "POST" and bool(getattr(type(self.view), "creates", False))

    def get_operation(self, *args: object, **kwargs: object) -> dict[str, object] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None and self.takes_key:
            operation["parameters"] = [*operation.get("parameters", []), _IDEMPOTENCY_KEY]
        return operation

"""What can be wrong with what a caller asks for. Each dialect spells these in its own shape."""

from collections.abc import Mapping, Sequence


class Invalid(Exception):
    """The request cannot be carried out as written. Nothing was changed.

    `errors` speak of the request as a whole, `field_errors` of one place in it (nested like the input). Not both empty.
    """

    def __init__(self, errors: Sequence[str] = (), field_errors: Mapping[str, object] | None = None) -> None:
        super().__init__(errors, field_errors)
        self.errors = list(errors)
        self.field_errors = dict(field_errors or {})


class FieldErrors(Invalid):
    """Only fields are wrong: `FieldErrors({path: message})`."""

    def __init__(self, field_errors: Mapping[str, object]) -> None:
        super().__init__((), field_errors)


class NotFound(Exception):
    """There is no such thing in the caller's organization."""


class Forbidden(Exception):
    """The caller lacks a permission."""


class Conflict(Exception):
    """The request collides with another one or with the state of things."""

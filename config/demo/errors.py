class DemoFailed(Exception):
    """Something is not as promised. The text is one sentence for the person who started the demo."""


def expect(holds: bool, otherwise: str) -> None:
    """Raise `DemoFailed(otherwise)` unless `holds`."""
    if not holds:
        raise DemoFailed(otherwise)

"""Secrets of others that we must be able to say again, such as the passwords of mail servers: encrypted at rest."""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Undecryptable(Exception):
    """None of ENCRYPTION_KEYS opens this text."""


def encrypt(secret: str) -> str:
    """`secret` under the first of ENCRYPTION_KEYS, as ASCII; nothing stays nothing."""
    return _box(tuple(settings.ENCRYPTION_KEYS)).encrypt(secret.encode()).decode() if secret else ""


def decrypt(stored: str) -> str:
    """What was encrypted under any of ENCRYPTION_KEYS. `Undecryptable` else; the error says nothing of the text."""
    if not stored:
        return ""
    try:
        return _box(tuple(settings.ENCRYPTION_KEYS)).decrypt(stored).decode()
    except InvalidToken:
        raise Undecryptable("A stored secret cannot be decrypted with ENCRYPTION_KEYS.") from None


def rotate(stored: str) -> str:
    """The same secret under the first key. `Undecryptable` where no key opens it."""
    return encrypt(decrypt(stored))


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])

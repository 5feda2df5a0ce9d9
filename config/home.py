"""Where the embedded parts keep their state, and the secrets made for them.

Everything that outlives a process lies under `DROVER_HOME` (`.local/` beside `manage.py` unless the environment names
another folder). Sockets lie in a short folder of our own, since a Unix socket path may hold 107 bytes at most.
"""

import base64
import contextlib
import hashlib
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Home:
    """The state folder of one stack; two stacks with two folders share nothing."""

    path: Path

    @classmethod
    def from_environment(cls) -> "Home":
        return cls(Path(os.environ.get("DROVER_HOME") or PROJECT / ".local").absolute())

    @property
    def run(self) -> Path:
        """Folder of the sockets: short, and the same for every process of this user and this home."""
        digest = hashlib.sha256(str(self.path).encode()).hexdigest()[:12]
        return Path("/tmp") / f"drover-{os.getuid()}-{digest}"

    @property
    def postgres_socket_folder(self) -> Path:
        return self.run / "pg"

    @property
    def redis_socket(self) -> Path:
        return self.run / "redis.sock"

    @property
    def mail(self) -> Path:
        """Where the SMTP sink puts each message it accepts, one `.eml` file each."""
        return self.path / "mail"

    @property
    def sink_port_file(self) -> Path:
        """Holds the TCP port that the SMTP sink of this home listens on."""
        return self.path / "smtp-port"

    def database_url(self) -> str:
        password = self.secret("postgres_password")
        return f"postgres://drover:{password}@/drover?host={quote(str(self.postgres_socket_folder), safe='/')}"

    def redis_url(self, database: int) -> str:
        """A redis-py URL; Celery spells the same socket differently (`broker_url`)."""
        return f"unix://{self.redis_socket}?db={database}"

    def broker_url(self) -> str:
        return f"redis+socket://{self.redis_socket}?virtual_host=0"

    def secret(self, name: str) -> str:
        """The secret of that name, made at its first use and kept for good in `secrets.json` (readable by us alone)."""
        return self._secrets()[name]

    def _secrets(self) -> dict[str, str]:
        file = self.path / "secrets.json"
        try:
            if not file.exists():
                self._make_secrets(file)
            return json.loads(file.read_text())
        except (OSError, ValueError) as problem:
            raise ImproperlyConfigured(
                f"The secrets in {file} cannot be read or made: {problem}; set DROVER_HOME to a folder of yours."
            ) from None

    def _make_secrets(self, file: Path) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        made = {
            "secret_key": secrets.token_urlsafe(48),
            "encryption_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "postgres_password": secrets.token_urlsafe(24),
            "admin_password": secrets.token_urlsafe(12),
        }
        descriptor, draft = tempfile.mkstemp(dir=self.path)
        with os.fdopen(descriptor, "w") as handle:
            json.dump(made, handle)
        # Two processes may start at once: the first link wins and both read the same file.
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
        os.unlink(draft)

"""Where files lie, when operators say so: the settings that docs/operations.md shows for an S3-compatible store."""

import json
import subprocess
import sys
from pathlib import Path

from config.home import PROJECT, Home
from tests.stack import environment

# In place of the package, which is none of ours.
STAND_IN = """
from django.core.files.storage import InMemoryStorage

class S3Storage(InMemoryStorage):
    def __init__(self, **options):
        super().__init__()
        self.options = options
"""
ASK = """
import json
from bulk_actions import export_files, uploads
print(json.dumps([storage().options for storage in (export_files.storage, uploads.storage)]))
"""


def test_settings_of_an_operator_put_files_elsewhere(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "operations.md").read_text()
    [shown] = [block.partition("```")[0] for block in page.split("```python\n")[1:]]
    (tmp_path / "own_settings.py").write_text(shown)
    backend = tmp_path / "storages" / "backends" / "s3.py"
    backend.parent.mkdir(parents=True)
    backend.write_text(STAND_IN)
    env = environment(Home(tmp_path / "home"), DJANGO_SETTINGS_MODULE="own_settings", PYTHONPATH=str(tmp_path))
    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", ASK],
        env=env, cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    exports, uploads = json.loads(said.stdout)
    assert (exports["location"], uploads["location"]) == ("exports", "uploads")
    assert exports["bucket_name"] == uploads["bucket_name"] == "drover"
    assert exports["max_memory_size"] == 10_000_000

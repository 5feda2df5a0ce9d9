"""Files sent to `/bulk_action/import/`, and the jobs that come of them."""

import json

from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from bulk_actions.models import BulkAction
from tests.bulk_actions.helpers import run_to_end

PATH = "/api/v1/bulk_action/import/"


def file_of(text: str | bytes, name: str = "leads.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text, "text/csv")


def send(api: APIClient, text: str | bytes, *, path: str = PATH, name: str = "leads.csv", **more: object) -> dict:
    fields = {key: value if isinstance(value, str) else json.dumps(value) for key, value in more.items()}
    response = api.post(path, {"file": file_of(text, name), **fields}, format="multipart")
    assert response.status_code == 200, response.json()
    return response.json()


def job_of(answer: dict) -> BulkAction:
    return next(action for action in BulkAction.objects.all() if action.api_id == answer["id"])


def finished(answer: dict) -> BulkAction:
    action = run_to_end(job_of(answer))
    assert action.status == "done", (action.error_code, action.error_message)
    return action

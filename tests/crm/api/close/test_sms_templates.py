"""`/sms_template/`."""

from crm.ids import parse_close_id
from crm.models import Organization, Sequence, SequenceStep, StepType
from tests.crm.api.close.conftest import Close


def test_a_template_is_made_fetched_changed_and_deleted(close: Close, stranger: Close) -> None:
    answer = close.post("/sms_template/", {"name": "Hi", "text": "Hi {{ contact.first_name }}"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["text"], made["status"]) == ("Hi", "Hi {{ contact.first_name }}", "active")
    path = f"/sms_template/{made['id']}/"
    assert close.get(path).json() == made
    assert close.get("/sms_template/").json() == {"data": [made], "has_more": False}
    assert close.put(path, {"status": "archived"}).json()["status"] == "archived"
    assert stranger.get(path).status_code == stranger.delete(path).status_code == 404
    assert stranger.put(path, {"name": 3}).status_code == 404
    assert close.delete(path).json() == {}
    assert close.get(path).status_code == 404


def test_what_is_wrong_is_told_at_once(close: Close) -> None:
    answer = close.post("/sms_template/", {"text": "{{ a | shout }}", "status": "gone"})
    assert answer.status_code == 400
    assert set(answer.json()["field-errors"]) == {"name", "text", "status"}


def test_what_a_sequence_uses_cannot_be_deleted(close: Close, organization: Organization) -> None:
    made = close.post("/sms_template/", {"name": "Hi", "text": "Hi"}).json()
    sequence = Sequence.objects.create(organization=organization, name="Warm hello", timezone="Europe/Riga")
    key = parse_close_id("smstmpl", made["id"])
    SequenceStep.objects.create(sequence=sequence, position=0, step_type=StepType.SMS, sms_template_id=key)
    answer = close.delete(f"/sms_template/{made['id']}/")
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1)

"""`/email_template/`: making, sharing, archiving and deleting templates."""

import pytest
from django.http import HttpResponse

from crm.auth import make_api_key
from crm.ids import close_id, parse_close_id
from crm.models import EmailTemplate, Organization, Role, Sequence, SequenceStep, StepType
from tests import factories
from tests.crm.api.close.conftest import Close

LEAST = {"name": "Hello", "subject": "Hello {{ contact.first_name }}", "body": "<p>Hi {{ contact.name }}</p>"}


def make(close: Close, **more: object) -> dict[str, object]:
    answer = close.post("/email_template/", {**LEAST, **more})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def refused(answer: HttpResponse) -> dict[str, str]:
    assert answer.status_code == 400, answer.content[:500]
    return answer.json()["field-errors"]


@pytest.fixture
def colleague(organization: Organization) -> Close:
    """A plain user of the same organization."""
    membership = factories.MembershipFactory.create(organization=organization, role=Role.USER)
    return Close(make_api_key(membership=membership)[1])


def used_by_a_sequence(template: dict[str, object], organization: Organization) -> Sequence:
    sequence = Sequence.objects.create(organization=organization, name="Warm hello", timezone="Europe/Riga")
    key = parse_close_id("tmpl", template["id"])
    SequenceStep.objects.create(sequence=sequence, position=0, step_type=StepType.EMAIL, email_template_id=key)
    return sequence


def test_a_template_is_made_fetched_changed_and_deleted(close: Close) -> None:
    made = make(
        close, name=" Hello ", cc=["Lev@Oakvale.example"], attachments=[{"url": "https://oakvale.example/a.pdf"}]
    )
    me = close.get("/me/").json()["id"]
    assert (made["name"], made["subject"], made["body"]) == ("Hello", LEAST["subject"], LEAST["body"])
    assert made["body_text"] == "Hi {{ contact.name }}"
    assert (made["undefined"], made["is_shared"], made["is_archived"], made["created_by"]) == (
        "blank",
        False,
        False,
        me,
    )
    assert (made["cc"], made["bcc"], made["used_by_sequences"]) == (["lev@oakvale.example"], [], [])
    link = {"url": "https://oakvale.example/a.pdf", "filename": None, "content_type": None, "size": None}
    assert made["attachments"] == [link]
    path = f"/email_template/{made['id']}/"
    assert close.get(path).json() == made
    changed = close.put(path, {"body": "<p>New</p>", "undefined": "error", "is_shared": True}).json()
    assert (changed["body_text"], changed["undefined"], changed["is_shared"]) == ("New", "error", True)
    assert changed["subject"] == made["subject"]
    assert close.delete(path).json() == {}
    assert close.get(path).status_code == 404


def test_lists_are_filtered(close: Close) -> None:
    plain = make(close, name="a")
    archived = make(close, name="b", is_archived=True)
    shared = make(close, name="c", is_shared=True)

    def ids(**query: object) -> list[str]:
        return [row["id"] for row in close.get("/email_template/", **query).json()["data"]]

    assert ids() == [plain["id"], archived["id"], shared["id"]]
    assert ids(is_archived="true") == [archived["id"]]
    assert ids(is_archived="false", is_shared="false") == [plain["id"]]
    assert ids(is_shared="true") == [shared["id"]]
    assert close.get("/email_template/", is_shared="maybe").status_code == 400
    assert close.get("/email_template/", _fields="id,name").json()["data"][0] == {"id": plain["id"], "name": "a"}


def test_the_others_see_what_is_shared_and_change_nothing(close: Close, colleague: Close, stranger: Close) -> None:
    mine, shared = make(close), make(close, is_shared=True)
    path = f"/email_template/{shared['id']}/"
    assert colleague.get(f"/email_template/{mine['id']}/").status_code == 404
    assert colleague.get(path).json() == shared
    assert colleague.put(path, {"name": "x"}).status_code == 403
    assert colleague.delete(path).status_code == 403
    theirs = make(colleague, is_shared=True)
    assert close.put(f"/email_template/{theirs['id']}/", {"name": "by an admin"}).status_code == 200
    for method in (stranger.get, stranger.delete):
        assert method(path).status_code == 404
    assert stranger.put(path, {"name": 3}).status_code == 404
    assert stranger.get("/email_template/").json()["data"] == []
    assert close.get(path).json() == shared


def test_what_a_sequence_uses_stays(close: Close, organization: Organization) -> None:
    made = make(close, is_shared=True)
    sequence = used_by_a_sequence(made, organization)
    path = f"/email_template/{made['id']}/"
    assert close.get(path).json()["used_by_sequences"] == [{"id": close_id("seq", sequence.pk), "name": "Warm hello"}]
    answer = close.delete(path)
    assert answer.status_code == 400
    assert answer.json()["errors"] == ["The template cannot be deleted: the sequence 'Warm hello' uses it."]
    assert close.put(path, {"is_shared": False}).json()["errors"] == [
        "The template must stay shared: the sequence 'Warm hello' uses it."
    ]
    assert close.put(path, {"is_archived": True}).json()["is_archived"] is True
    sequence.steps.all().delete()
    assert close.delete(path).status_code == 200


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", None, "required"),
        ("name", " ", "required"),
        ("name", "a\nb", "one line"),
        ("name", "x" * 256, "at most 255"),
        ("subject", None, "required"),
        ("subject", "Hi\r\nBcc: all@oakvale.example", "control"),
        ("subject", "{{ contact.name | shout }}", "Line 1, column 19: Unknown filter 'shout'."),
        ("subject", "x" * 1001, "at most 1000"),
        ("body", 3, "string"),
        ("body", "<p>\n{% include 'etc' %}", "Line 2, column 4: Unexpected tag 'include'."),
        ("body", "{% if a %}", "endif"),
        ("body", "{{" + " " * 500_000, "never closed"),
        ("body", "<p {% if a %}>x{% endif %}", "text part"),
        ("body", "x" * 1_000_001, "at most 1000000"),
        ("undefined", "explode", "Not a valid choice"),
        ("is_shared", "yes", "true or false"),
        ("cc", "lev@oakvale.example", "list"),
        ("cc", ["lev@oakvale.example", "not one"], "e-mail"),
        ("bcc", ["a@oakvale.example\r\nX: y"], "e-mail"),
        ("attachments", [{"url": "javascript:alert(1)"}], "https"),
        ("attachments", [{"url": "file:///etc/passwd"}], "https"),
        ("attachments", [{"url": "https://x.example/\r\nX: y"}], "https"),
        ("attachments", [{"url": "https://x.example/", "filename": "a\r\nb"}], "one line"),
        ("attachments", [{"url": "https://x.example/", "size": -1}], "bytes"),
        ("attachments", ["x"], "object"),
    ],
)
def test_what_is_wrong_is_refused_by_its_key(close: Close, key: str, value: object, message: str) -> None:
    problems = refused(close.post("/email_template/", {**LEAST, key: value}))
    assert list(problems) == [key]
    assert message in str(problems[key])
    assert not EmailTemplate.objects.exists()


def test_all_that_is_wrong_is_told_at_once(close: Close) -> None:
    assert set(refused(close.post("/email_template/", {}))) == {"name", "subject", "body"}
    made = make(close)
    wrong = {"subject": "{{", "body": "{% x %}", "cc": ["x"], "name": ""}
    assert set(refused(close.put(f"/email_template/{made['id']}/", wrong))) == set(wrong)
    assert close.get(f"/email_template/{made['id']}/").json() == made


def test_a_template_of_ten_megabytes_is_refused(close: Close) -> None:
    answer = close.post("/email_template/", {**LEAST, "body": "<p>x</p>" * (10 * 1024 * 1024 // 8)})
    assert answer.status_code == 400
    assert "MB" in answer.json()["error"]

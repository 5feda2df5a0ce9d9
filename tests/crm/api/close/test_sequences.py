"""`/sequence/` and `/sequence_subscription/` (close-api.md 4.9, 4.10)."""

from datetime import UTC, datetime, timedelta

import pytest

from crm.ids import close_id
from crm.mail import delivery
from crm.models import (
    Contact,
    EmailAccount,
    EmailTemplate,
    Lead,
    Membership,
    OutboxMail,
    Sequence,
    SequenceSubscription,
    SmsTemplate,
)
from crm.sequences import engine
from tests import factories
from tests.crm.api.close.conftest import Close

GONE = "Object does not exist."


@pytest.fixture
def template(membership: Membership) -> EmailTemplate:
    return factories.EmailTemplateFactory.create(organization=membership.organization)


@pytest.fixture
def account(membership: Membership) -> EmailAccount:
    return factories.EmailAccountFactory.create(organization=membership.organization)


@pytest.fixture
def contact(membership: Membership, statuses: object) -> Contact:
    lead = factories.LeadFactory.create(organization=membership.organization)
    contact = factories.ContactFactory.create(lead=lead)
    contact.emails.create(organization=membership.organization, email="ida@oakvale.example")
    return contact


@pytest.fixture
def hello(template: EmailTemplate) -> dict[str, object]:
    """The body of a sequence with a mail and a call."""
    mail = {"step_type": "email", "email_template_id": close_id("tmpl", template.pk), "threading": "new_thread"}
    call = {"step_type": "call", "delay": 172_800, "required": False}
    return {"name": "Warm hello", "timezone": "Europe/Riga", "steps": [mail, call]}


@pytest.fixture
def sequence(close: Close, hello: dict[str, object]) -> dict[str, object]:
    return close.post("/sequence/", hello).json()


@pytest.fixture
def order(sequence: dict[str, object], contact: Contact, account: EmailAccount) -> dict[str, object]:
    """The body of a subscription."""
    return {
        "sequence_id": sequence["id"],
        "contact_id": close_id("cont", contact.pk),
        "contact_email": "ida@oakvale.example",
        "sender_account_id": close_id("emailacct", account.pk),
        "sender_name": "Jo Field",
        "sender_email": "jo@oakvale.example",
    }


def subscribed(close: Close, order: dict[str, object]) -> dict[str, object]:
    answer = close.post("/sequence_subscription/", order)
    assert answer.status_code == 201, answer.json()
    return answer.json()


# --- sequences --------------------------------------------------------------------------------------------------------
def test_a_sequence_is_made_with_its_steps_in_order(close: Close, hello: dict[str, object]) -> None:
    made = close.post("/sequence/", hello)
    assert made.status_code == 200
    told = made.json()
    assert (told["name"], told["status"], told["timezone"], told["schedule"]) == (
        "Warm hello", "active", "Europe/Riga", None,
    )  # fmt: skip
    mail, call = told["steps"]
    assert mail["id"].startswith("seqstep_")
    assert (mail["step_type"], mail["delay"], mail["threading"], mail["required"]) == ("email", 0, "new_thread", True)
    assert (call["delay"], call["required"], call["email_template_id"], call["threading"]) == (
        172_800,
        False,
        None,
        None,
    )
    assert told["owner_id"] == told["created_by_id"] == close.get("/me/").json()["id"]
    assert "+" not in told["date_created"]
    assert close.get("/sequence/").json() == {"data": [told], "has_more": False}
    counts = {"active": 0, "error": 0, "finished": 0, "goal": 0, "paused": 0}
    assert close.get(f"/sequence/{told['id']}/").json() == {**told, "subscription_counts_by_status": counts}


def test_put_replaces_the_steps_and_keeps_those_with_their_ids(close: Close, sequence: dict[str, object]) -> None:
    mail, call = sequence["steps"]
    changed = close.put(
        f"/sequence/{sequence['id']}/", {"steps": [{"step_type": "call", "delay": 5}, {"id": mail["id"], "delay": 60}]}
    ).json()
    assert changed["name"] == "Warm hello"
    first, second = changed["steps"]
    assert second == {**mail, "delay": 60}
    assert first["id"] not in (mail["id"], call["id"])
    assert (first["step_type"], first["delay"]) == ("call", 5)


def test_who_waits_for_a_step_that_is_removed_goes_on_with_the_next(
    close: Close, sequence: dict[str, object], order: dict[str, object]
) -> None:
    one = subscribed(close, order)
    mail, call = sequence["steps"]
    assert one["next_step_id"] == mail["id"]
    close.put(f"/sequence/{sequence['id']}/", {"steps": [{"id": call["id"]}]})
    moved = close.get(f"/sequence_subscription/{one['id']}/").json()
    assert (moved["status"], moved["next_step_id"]) == ("active", call["id"])
    close.put(f"/sequence/{sequence['id']}/", {"steps": [mail | {"id": None}]})
    over = close.get(f"/sequence_subscription/{one['id']}/").json()
    assert (over["status"], over["next_step_id"], over["next_step_due_at"]) == ("finished", None, None)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": None}, "name"), ({"name": "  "}, "name"), ({"name": 3}, "name"), ({"name": "x" * 256}, "name"),
        ({"name": "a\r\nb"}, "name"), ({"timezone": "Mars/Base"}, "timezone"), ({"timezone": None}, "timezone"),
        ({"status": "gone"}, "status"), ({"schedule": {"ranges": []}}, "schedule"), ({"steps": None}, "steps"),
        ({"steps": []}, "steps"), ({"steps": "x"}, "steps"), ({"steps": ["x"]}, "steps"), ({"steps": [{}]}, "steps"),
        ({"steps": [{"step_type": "fax"}]}, "steps"), ({"steps": [{"step_type": "email"}]}, "steps"),
        ({"steps": [{"step_type": "call", "delay": -1}]}, "steps"),
        ({"steps": [{"step_type": "call", "delay": 10**12}]}, "steps"),
        ({"steps": [{"step_type": "call", "delay": True}]}, "steps"),
        ({"steps": [{"step_type": "call", "threading": "x"}]}, "steps"),
        ({"steps": [{"step_type": "call", "required": "x"}]}, "steps"),
        ({"steps": [{"step_type": "call", "step_allowed_delay": "x"}]}, "steps"),
        ({"steps": [{"step_type": "email", "email_template_id": "tmpl_x"}]}, "steps"),
        ({"steps": [{"step_type": "sms", "sms_template_id": "smstmpl_" + "1" * 22}]}, "steps"),
        ({"steps": [{"id": "seqstep_x", "step_type": "call"}]}, "steps"),
        ({"steps": [{"step_type": "call"}] * 101}, "steps"),
        ({"trigger_query": "x"}, "trigger_query"), ({"owner_id": "user_x"}, "owner_id"),
        ({"allow_manual_enrollment": "x"}, "allow_manual_enrollment"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_sequence_is_told_at_its_place(
    close: Close, hello: dict[str, object], change: dict[str, object], path: str
) -> None:
    answer = close.post("/sequence/", {**hello, **change})
    assert answer.status_code == 400
    assert list(answer.json()["field-errors"]) == [path]
    assert not Sequence.objects.exists()


def test_a_template_must_be_shared_and_not_archived(
    close: Close, hello: dict[str, object], template: EmailTemplate, membership: Membership
) -> None:
    for change in ({"is_shared": False}, {"is_shared": True, "is_archived": True}):
        EmailTemplate.objects.filter(pk=template.pk).update(**change)
        answer = close.post("/sequence/", hello)
        assert answer.status_code == 400
        assert template.name in answer.json()["errors"][0]
        assert answer.json()["field-errors"] == {}
    archived = SmsTemplate.objects.create(
        organization=membership.organization, name="Nudge", text="Hi", status="archived"
    )
    step = {"step_type": "sms", "sms_template_id": close_id("smstmpl", archived.pk)}
    assert "Nudge" in close.post("/sequence/", {**hello, "steps": [step]}).json()["errors"][0]
    assert not Sequence.objects.exists()


def test_a_template_of_somebody_else_does_not_exist(close: Close, hello: dict[str, object]) -> None:
    theirs = factories.EmailTemplateFactory.create()
    step = {"step_type": "email", "email_template_id": close_id("tmpl", theirs.pk)}
    answer = close.post("/sequence/", {**hello, "steps": [step]})
    assert answer.json()["field-errors"] == {"steps": {"0": {"email_template_id": GONE}}}


def test_a_template_in_use_that_was_archived_since_may_stay(
    close: Close, sequence: dict[str, object], template: EmailTemplate
) -> None:
    EmailTemplate.objects.filter(pk=template.pk).update(is_archived=True)
    assert close.put(f"/sequence/{sequence['id']}/", {"steps": sequence["steps"]}).status_code == 200


def test_pausing_a_sequence_stops_its_subscriptions_and_activating_lets_them_go_on(
    close: Close, sequence: dict[str, object], order: dict[str, object]
) -> None:
    one = subscribed(close, order)
    engine.tick(now=datetime.now(UTC) + timedelta(seconds=1))
    for status in ("paused", "draft"):
        close.put(f"/sequence/{sequence['id']}/", {"status": status})
        stopped = close.get(f"/sequence_subscription/{one['id']}/").json()
        assert (stopped["status"], stopped["status_reason"]) == ("paused", "workflow-paused")
        assert OutboxMail.objects.get().state == "withheld"
        close.put(f"/sequence/{sequence['id']}/", {"status": "active"})
        running = close.get(f"/sequence_subscription/{one['id']}/").json()
        assert (running["status"], running["status_reason"]) == ("active", None)
        assert OutboxMail.objects.get().state == "reserved"


def test_who_was_paused_by_hand_stays_so_when_the_sequence_goes_on(
    close: Close, sequence: dict[str, object], order: dict[str, object]
) -> None:
    one = subscribed(close, order)
    close.put(f"/sequence_subscription/{one['id']}/", {"status": "paused"})
    close.put(f"/sequence/{sequence['id']}/", {"status": "paused"})
    close.put(f"/sequence/{sequence['id']}/", {"status": "active"})
    assert close.get(f"/sequence_subscription/{one['id']}/").json()["status_reason"] == "manual"


def test_deleting_a_sequence_stops_its_subscriptions_and_frees_its_templates(
    close: Close, sequence: dict[str, object], order: dict[str, object], template: EmailTemplate
) -> None:
    one = subscribed(close, order)
    assert close.delete(f"/email_template/{close_id('tmpl', template.pk)}/").status_code == 400
    assert close.delete(f"/sequence/{sequence['id']}/").json() == {}
    assert close.get(f"/sequence/{sequence['id']}/").status_code == 404
    assert close.get("/sequence/").json()["data"] == []
    stopped = close.get(f"/sequence_subscription/{one['id']}/").json()
    assert (stopped["status"], stopped["status_reason"]) == ("paused", "sequence-deleted")
    resumed = close.put(f"/sequence_subscription/{one['id']}/", {"status": "active"})
    assert list(resumed.json()["field-errors"]) == ["status"]
    assert close.post("/sequence_subscription/", order).json()["field-errors"] == {"sequence_id": GONE}
    assert close.delete(f"/email_template/{close_id('tmpl', template.pk)}/").status_code == 200


# --- subscriptions ----------------------------------------------------------------------------------------------------
def test_a_contact_is_put_into_a_sequence(
    close: Close, sequence: dict[str, object], order: dict[str, object], contact: Contact
) -> None:
    told = subscribed(close, order)
    assert told == {**told, **order}
    assert told["id"].startswith("sub_")
    assert told["lead_id"] == close_id("lead", contact.lead_id)
    assert (told["status"], told["status_reason"], told["calls_assigned_to"]) == ("active", None, None)
    assert told["start_date"] is not None
    assert told["next_step_id"] == sequence["steps"][0]["id"]
    assert close.get(f"/sequence_subscription/{told['id']}/").json() == told
    counts = close.get(f"/sequence/{sequence['id']}/").json()["subscription_counts_by_status"]
    assert counts == {"active": 1, "error": 0, "finished": 0, "goal": 0, "paused": 0}


def test_a_contact_has_a_sequence_once(close: Close, order: dict[str, object]) -> None:
    subscribed(close, order)
    again = close.post("/sequence_subscription/", order)
    assert again.status_code == 400
    assert "already" in again.json()["errors"][0]


def test_the_list_needs_a_sequence_a_contact_or_a_lead(close: Close, order: dict[str, object]) -> None:
    told = subscribed(close, order)
    assert close.get("/sequence_subscription/").status_code == 400
    assert close.get("/sequence_subscription/", sequence_id="").status_code == 400
    for key in ("sequence_id", "contact_id", "lead_id"):
        assert close.get("/sequence_subscription/", **{key: told[key]}).json()["data"] == [told]
        assert close.get("/sequence_subscription/", **{key: "x"}).json()["data"] == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"sequence_id": None}, "sequence_id"), ({"sequence_id": "seq_x"}, "sequence_id"),
        ({"contact_id": 3}, "contact_id"),
        ({"contact_email": ""}, "contact_email"), ({"contact_email": "x"}, "contact_email"),
        ({"contact_email": "other@oakvale.example"}, "contact_email"),
        ({"sender_account_id": None}, "sender_account_id"), ({"sender_account_id": "emailacct_x"}, "sender_account_id"),
        ({"sender_name": None}, "sender_name"), ({"sender_name": "a\nb"}, "sender_email"),
        ({"sender_email": "eve@oakvale.example"}, "sender_email"), ({"sender_email": 3}, "sender_email"),
        ({"calls_assigned_to": "x"}, "calls_assigned_to"), ({"calls_assigned_to": ["user_x"]}, "calls_assigned_to"),
        ({"calls_assigned_to": ["user_" + "1" * 22]}, "calls_assigned_to"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_subscription_is_told_at_its_place(
    close: Close, order: dict[str, object], change: dict[str, object], path: str
) -> None:
    answer = close.post("/sequence_subscription/", {**order, **change})
    assert answer.status_code == 400
    assert list(answer.json()["field-errors"]) == [path]
    assert not SequenceSubscription.objects.exists()


def test_a_contact_of_a_deleted_lead_is_refused(close: Close, order: dict[str, object], contact: Contact) -> None:
    told = subscribed(close, order)
    Lead.objects.update(deleted_at=datetime.now(UTC))
    assert close.post("/sequence_subscription/", order).json()["field-errors"] == {"contact_id": GONE}
    assert close.get(f"/sequence_subscription/{told['id']}/").status_code == 404
    assert close.get("/sequence_subscription/", lead_id=told["lead_id"]).json()["data"] == []


def test_a_sequence_that_is_paused_or_takes_nobody_by_hand_refuses(
    close: Close, sequence: dict[str, object], order: dict[str, object]
) -> None:
    for change in ({"status": "paused"}, {"status": "active", "allow_manual_enrollment": False}):
        close.put(f"/sequence/{sequence['id']}/", change)
        answer = close.post("/sequence_subscription/", order)
        assert answer.status_code == 400
        assert answer.json()["errors"]


def test_a_subscription_is_paused_and_goes_on(close: Close, order: dict[str, object]) -> None:
    told = subscribed(close, order)
    path = f"/sequence_subscription/{told['id']}/"
    paused = close.put(path, {"status": "paused"}).json()
    assert (paused["status"], paused["status_reason"]) == ("paused", "manual")
    assert close.put(path, {"status": "paused"}).status_code == 200, "it is so already"
    running = close.put(path, {"status": "active"}).json()
    assert (running["status"], running["status_reason"]) == ("active", None)
    for status in ("finished", "goal", 3, [], ""):
        assert close.put(path, {"status": status}).status_code == 400
    SequenceSubscription.objects.update(status="finished", next_step=None, next_at=None, steps_done=2)
    for status in ("paused", "active"):
        refused = close.put(path, {"status": status})
        assert "finished" in refused.json()["field-errors"]["status"]


def test_the_sender_may_be_changed(close: Close, order: dict[str, object], account: EmailAccount) -> None:
    told = subscribed(close, order)
    path = f"/sequence_subscription/{told['id']}/"
    EmailAccount.objects.update(identities=[{"email": "bo@oakvale.example", "name": "Bo"}])
    changed = close.put(path, {"sender_email": "bo@oakvale.example", "sender_name": "Bo"}).json()
    assert (changed["sender_email"], changed["sender_name"]) == ("bo@oakvale.example", "Bo")
    assert close.put(path, {"sender_email": "eve@oakvale.example"}).status_code == 400
    me = close.get("/me/").json()["id"]
    assert close.put(path, {"calls_assigned_to": [me, me]}).json()["calls_assigned_to"] == [me]


def test_a_deleted_subscription_sends_nothing_and_may_be_made_anew(close: Close, order: dict[str, object]) -> None:
    told = subscribed(close, order)
    engine.tick(now=datetime.now(UTC) + timedelta(seconds=1))
    assert close.delete(f"/sequence_subscription/{told['id']}/").json() == {}
    assert OutboxMail.objects.get().state == "withheld"
    assert close.get(f"/sequence_subscription/{told['id']}/").status_code == 404
    subscribed(close, order)


def test_those_of_another_organization_are_not_there(
    close: Close, stranger: Close, sequence: dict[str, object], order: dict[str, object]
) -> None:
    told = subscribed(close, order)
    for path in (f"/sequence/{sequence['id']}/", f"/sequence_subscription/{told['id']}/"):
        assert stranger.get(path).status_code == 404
        assert stranger.put(path, {"status": "paused"}).status_code == 404
        assert stranger.delete(path).status_code == 404
    assert stranger.get("/sequence/").json()["data"] == []
    assert stranger.get("/sequence_subscription/", sequence_id=sequence["id"]).json()["data"] == []
    assert stranger.post("/sequence_subscription/", order).json()["field-errors"] == {"contact_id": GONE}
    assert delivery.is_due() is False

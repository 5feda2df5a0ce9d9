"""What people may rely on while a bulk email runs: who leaves is left alone, a pause holds, nobody gets it twice."""

import re
import time
from collections import Counter

import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from bulk_actions import slots
from bulk_actions.loading import load
from bulk_actions.models import BulkAction
from bulk_actions.results import Result, all_of
from bulk_actions.retrying import retry
from bulk_actions.runner import run_slice
from bulk_actions.services import pause, resume
from bulk_actions.states import Status
from bulk_actions.targets import OUTCOMES
from crm.errors import Conflict, FieldErrors
from crm.ids import close_id
from crm.mail.suppression import reasons_for
from crm.models import Contact, EmailTemplate, Lead, LeadStatus, MailState, Membership, OutboxMail
from tests import factories
from tests.bulk_actions.helpers import Elsewhere, caller_of, check_invariant, make_leads
from tests.bulk_actions.mailing import deliver, deliver_in_a_thread, mail_job, people, run, told, with_address, work
from tests.smtp import Post

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

EMAIL = "/api/v1/bulk_action/email/"


def results(action: BulkAction) -> list[Result]:
    return list(all_of(action, OUTCOMES))


def letters_of_leads(post: Post) -> dict[str, int]:
    """How many mails each of the leads got; notices are not counted."""
    return {to: n for to, n in post.recipients.items() if to.endswith("moss.example")}


def wait_for_letters(post: Post, number: int) -> None:
    deadline = time.monotonic() + 20
    while len(post.letters) < number:
        assert time.monotonic() < deadline, "no mail arrives"
        time.sleep(0.01)


def test_following_the_link_of_an_arrived_mail_stops_the_mail_that_the_running_job_still_has_for_that_person(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post, settings: Settings
) -> None:
    """The first job of two writes to Ida; she leaves while the second one runs, her mail of it not yet sent."""
    leads = people(status, 2)
    run(mail_job(membership, template, leads[:1]))
    running = work(mail_job(membership, template, leads))
    [arrived] = [message for message in post.messages() if message["To"] == "ida0@moss.example"]
    assert arrived["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = re.match(r"<(http\S+)>", arrived["List-Unsubscribe"])[1].removeprefix(settings.PUBLIC_URL)

    seen = Client().get(path)
    assert seen.status_code == 200
    assert reasons_for(membership.organization_id, ["ida0@moss.example"]) == {}, "looking changes nothing"
    answer = Client(enforce_csrf_checks=True).post(
        path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
    )

    assert answer.status_code == 200
    check_invariant(running)
    deliver()
    work(running)
    assert told(running) == {
        "ida0@moss.example": ("skipped", "unsubscribed"),
        "ida1@moss.example": ("succeeded", None),
    }
    assert post.recipients["ida0@moss.example"] == 1
    assert (running.status, running.n_skipped, running.n_succeeded) == (Status.DONE, 1, 1)


def test_one_address_of_several_contacts_gets_one_mail_however_it_is_written(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    first, second = make_leads(status, 2)
    with_address(first, "ida@moss.example", "IDA@moss.example")
    with_address(first, " Ida@Moss.Example ", name="Ida Moss at work")
    with_address(second, "ida@moss.example", "bo@moss.example")

    action = run(mail_job(membership, template, [first, second], contact_preference="all"))

    assert letters_of_leads(post) == {"ida@moss.example": 1, "bo@moss.example": 1}
    assert (action.n_objects, action.n_succeeded, action.n_skipped) == (5, 2, 3)


def test_japanese_subjects_and_names_arrive_whole_in_every_part(
    membership: Membership, status: LeadStatus, post: Post
) -> None:
    template = factories.EmailTemplateFactory.create(
        organization=membership.organization,
        subject="{{ contact.name }}様、夏季休業のお知らせ — 株式会社オークヴェール より大切なお客様へのご案内とお願い",
        body="<p>{{ contact.name }}様</p><p>お世話になっております。🌲</p>",
        text="{{ contact.name }}様\nお世話になっております。🌲",
    )
    [lead] = make_leads(status, 1)
    with_address(lead, "asuka@moss.example", name="髙橋 明日香")
    action = mail_job(membership, template, [lead])
    BulkAction.objects.filter(pk=action.pk).update(params={**action.params, "sender": "田中 太郎 <jo@oakvale.example>"})

    run(action)

    [raw] = [content for to, content in post.letters if to == "asuka@moss.example"]
    [arrived] = [message for message in post.messages() if message["To"].addresses[0].addr_spec == "asuka@moss.example"]
    assert arrived["Subject"] == (
        "髙橋 明日香様、夏季休業のお知らせ — 株式会社オークヴェール より大切なお客様へのご案内とお願い"
    )
    assert arrived["From"].addresses[0].display_name == "田中 太郎"
    assert arrived.get_body(("plain",)).get_content().splitlines()[0] == "髙橋 明日香様"
    assert "お世話になっております。🌲" in arrived.get_body(("html",)).get_content()
    headers = raw.partition(b"\r\n\r\n")[0]
    assert headers.isascii(), "servers without SMTPUTF8 pass it on"
    assert max(map(len, headers.split(b"\r\n"))) <= 998


def test_after_the_answer_to_a_pause_no_mail_leaves(
    api: APIClient, membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    post.seconds_per_letter = 0.02
    action = work(mail_job(membership, template, people(status, 60)))
    home = f"{EMAIL}{action.api_id}/"
    sent = 0
    for _ in range(5):
        worker = deliver_in_a_thread()
        wait_for_letters(post, sent + 3)
        answer = api.put(home, {"status": "paused"})
        sent = len(post.letters)
        assert (answer.status_code, answer.json()["status"]) == (200, "paused")
        assert answer.json()["n_succeeded"] == sent
        worker.join()
        deliver()
        assert len(post.letters) == sent
        check_invariant(action)
        assert api.put(home, {"status": "resuming"}).status_code == 200
        work(action)
    assert 15 <= sent < 60
    run(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 60)
    assert set(letters_of_leads(post).values()) == {1}


def test_a_sealed_preview_is_what_the_job_writes_to(
    api: APIClient, membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    leads = people(status, 3)
    body = {"s_query": {"type": "match_all"}, "template_id": close_id("tmpl", template.pk)}
    sealed = api.post(f"{EMAIL}preview/", {**body, "seal": True}).json()
    assert (sealed["n_leads"], sealed["forecast"]["would_send"]) == (3, 3)
    [later] = make_leads(status, 1)
    with_address(later, "late@moss.example")
    other = factories.EmailTemplateFactory.create(organization=membership.organization)

    wrong = api.post(EMAIL, {"template_id": close_id("tmpl", other.pk), "preview_token": sealed["preview_token"]})
    assert wrong.status_code == 400, wrong.content
    made = api.post(EMAIL, {**body, "preview_token": sealed["preview_token"]})
    assert made.status_code == 200, made.content
    again = api.post(EMAIL, {**body, "preview_token": sealed["preview_token"]})
    assert set(again.json()["field-errors"]) == {"preview_token"}

    action = run(BulkAction.objects.get())
    assert action.n_leads == len(leads)
    assert set(told(action)) == {f"ida{n}@moss.example" for n in range(3)}
    assert post.recipients["late@moss.example"] == 0
    assert [one["email"] for one in sealed["samples"]] == [f"ida{n}@moss.example" for n in range(3)]


def test_the_mail_of_any_lead_is_shown_by_a_preview_of_that_lead(
    api: APIClient, status: LeadStatus, template: EmailTemplate
) -> None:
    leads = people(status, 30)
    body = {"lead_ids": [close_id("lead", leads[27].pk)], "template_id": close_id("tmpl", template.pk)}
    [sample] = api.post(f"{EMAIL}preview/", body).json()["samples"]
    assert (sample["email"], sample["subject"]) == ("ida27@moss.example", "Hello Ida")
    assert sample["body_html"] == "<p>Hello Ida Moss</p>"


def test_a_lead_that_no_longer_matches_gets_no_mail_where_the_job_says_so(
    api: APIClient, membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    leads = people(status, 3)
    won = factories.LeadStatusFactory.create(organization=membership.organization)
    query = {
        "type": "field_condition",
        "field": {"type": "regular_field", "object_type": "lead", "field_name": "status_id"},
        "condition": {
            "type": "reference",
            "reference_type": "status.lead",
            "object_ids": [close_id("stat", status.pk)],
        },
    }
    made = api.post(EMAIL, {"s_query": query, "template_id": close_id("tmpl", template.pk), "on_changed": "skip"})
    assert made.status_code == 200, made.content
    action = BulkAction.objects.get()
    slots.start_if_free(action)
    load(action.pk)
    Lead.objects.filter(pk=leads[1].pk).update(status=won)

    run(action)

    rows = {row.lead_id: (row.outcome, row.code) for row in results(action)}
    assert rows == {
        leads[0].pk: ("succeeded", None),
        leads[1].pk: ("skipped", "no_longer_matches"),
        leads[2].pk: ("succeeded", None),
    }


def test_a_template_that_cannot_be_rendered_for_most_pauses_the_job_before_all_have_failed(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post, settings: Settings
) -> None:
    settings.BULK_FAILURES_JUDGED_AFTER = 20
    template.undefined, template.body = "error", "<p>{{ contact.title }}</p>"
    template.save()
    leads = people(status, 200)
    Contact.objects.filter(lead__in=leads[::4]).update(title="Miller")

    action = work(mail_job(membership, template, leads, max_failure_ratio=0.6))

    assert (action.status, action.status_reason) == (Status.PAUSED, "too_many_failures")
    counts = Counter(row.outcome for row in results(action))
    assert counts["pending"] > 100, counts
    deliver()
    assert not letters_of_leads(post), "paused: what was reserved stays"


# --- retry, and people who pause at the same time ---------------------------------------------------------------------


def unknown_job(membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post) -> BulkAction:
    """A job that has ended with 12 mails that may have left."""
    leads = people(status, 15)
    post.hang_up_after_data |= {f"ida{n}@moss.example" for n in range(12)}
    action = work(mail_job(membership, template, leads))
    deadline = time.monotonic() + 30
    while OutboxMail.objects.filter(source_id=action.pk, state__in=["reserved", "sending"]).exists():
        assert time.monotonic() < deadline
        deliver()
    post.hang_up_after_data.clear()
    work(action)
    assert (action.status, action.n_unknown) == (Status.DONE, 12)
    return action


def test_a_retry_that_is_paused_while_its_mails_leave_sends_each_once_more_and_no_more(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    action = unknown_job(membership, status, template, post)
    before = len(post.letters)
    post.seconds_per_letter = 0.05
    again = work(
        retry(action=action, outcomes=("unknown",), caller=caller_of(membership), confirm_possible_duplicates=True)
    )
    worker = deliver_in_a_thread()
    wait_for_letters(post, before + 3)

    pause(action=again, by=membership.user)
    left = len(post.letters)
    worker.join()
    deliver()

    assert before < left < before + 12
    assert len(post.letters) == left
    check_invariant(action)
    check_invariant(again)
    resume(action=again, by=membership.user)
    run(again)
    assert (again.status, again.n_succeeded) == (Status.DONE, 12)
    assert sorted(post.recipients[f"ida{n}@moss.example"] for n in range(15)) == [1] * 3 + [2] * 12
    check_invariant(action)


@pytest.mark.parametrize("outcome", ["unknown", "failed"])
def test_a_retry_paused_before_and_while_it_reserves_writes_to_nobody_twice(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post, outcome: str
) -> None:
    if outcome == "unknown":
        action = unknown_job(membership, status, template, post)
        confirmed, expected = True, {1: 3, 2: 12}
    else:
        post.refuse_content |= {f"ida{n}@moss.example": "554 5.6.0 Not this" for n in range(12)}
        action = run(mail_job(membership, template, people(status, 15)))
        post.refuse_content.clear()
        confirmed, expected = None, {1: 15}
    again = retry(
        action=action, outcomes=(outcome,), caller=caller_of(membership), confirm_possible_duplicates=confirmed
    )
    for _ in range(6):  # a pause in the midst of a slice, whichever of them is first
        worker = Elsewhere(run_slice, again.pk)
        pause(action=again, by=membership.user)
        worker.join()
        before = letters_of_leads(post)
        deliver()
        assert letters_of_leads(post) == before, "paused: nothing leaves"
        check_invariant(again)
        resume(action=again, by=membership.user)
    run(again)
    assert again.status == Status.DONE
    assert Counter(post.recipients[f"ida{n}@moss.example"] for n in range(15)) == expected
    check_invariant(action)


def test_of_two_retries_at_once_one_is_refused(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    action = unknown_job(membership, status, template, post)
    asked = [
        Elsewhere(
            retry, action=action, outcomes=("unknown",), caller=caller_of(membership), confirm_possible_duplicates=True
        )
        for _ in range(2)
    ]
    made, refused = [], 0
    for one in asked:
        try:
            made.append(one.join())
        except Conflict:
            refused += 1
    assert (len(made), refused) == (1, 1)
    run(made[0])
    with pytest.raises(FieldErrors):
        retry(action=action, outcomes=("unknown",), caller=caller_of(membership), confirm_possible_duplicates=True)
    assert set(OutboxMail.objects.filter(source_id=made[0].pk, purpose="bulk").values_list("state", flat=True)) == {
        MailState.SENT
    }
    check_invariant(made[0])

"""The admin of bulk actions: fast with many jobs, read-only, and steering by the services alone."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bulk_actions.admin.wording import sentence_of
from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome, Outcome, Transition
from bulk_actions.states import Status
from crm.ids import close_id
from crm.models import Organization, User
from tests import factories

MaxQueries = Callable[..., AbstractContextManager[object]]
LIST = "admin:bulk_actions_bulkaction_changelist"
PAGE = "admin:bulk_actions_bulkaction_change"
MATCH_ALL = {"type": "match_all"}


@pytest.fixture
def staff_client(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada@oakvale.example", "not used", first_name="Ada"))
    return client


def job(organization: Organization, user: User, status: Status, **columns: object) -> BulkAction:
    made = BulkAction(
        **{
            "organization": organization,
            "created_by": user,
            "kind": Kind.DELETE,
            "status": status,
            "s_query": MATCH_ALL,
            "resolved_query": MATCH_ALL,
            **columns,
        }
    )
    made.save()
    made.refresh_from_db()
    return made


@pytest.fixture
def running(organization: Organization, user: User) -> BulkAction:
    """2 500 leads, 1 500 of them done: 1 400 well, 60 unchanged, 30 skipped, 10 failed."""
    made = job(organization, user, Status.PROCESSING, n_leads=2500, n_objects=2500, date_started=timezone.now())
    now = timezone.now()
    Batch.objects.bulk_create(
        [
            Batch(action=made, lead_ids=[], n_leads=1000, n_succeeded=1000, date_done=now),
            Batch(
                action=made,
                lead_ids=[],
                n_leads=500,
                n_succeeded=400,
                n_unchanged=60,
                n_skipped=30,
                n_failed=10,
                date_done=now,
            ),
            Batch(action=made, lead_ids=[], n_leads=1000),
        ]
    )
    return made


def press(client: Client, name: str, action: BulkAction, **form: str) -> object:
    address = reverse(f"admin:bulk_actions_bulkaction_{name}_job", args=[action.pk])
    return client.post(address, {"_form_submitted": "True", **form})


def run_on_list(client: Client, name: str, *actions: BulkAction) -> str:
    chosen = {"action": name, "_selected_action": [str(action.pk) for action in actions]}
    return client.post(reverse(LIST), chosen, follow=True).content.decode()


def test_list_of_ten_thousand_jobs_needs_few_queries(
    staff_client: Client, organization: Organization, user: User, django_assert_max_num_queries: MaxQueries
) -> None:
    BulkAction.objects.bulk_create(
        [
            BulkAction(
                organization=organization,
                created_by=user,
                kind=Kind.DELETE,
                resolved_query=MATCH_ALL,
                n_leads=1000,
                status=Status.PROCESSING if n % 100 == 0 else Status.DONE,
            )
            for n in range(10_000)
        ]
    )
    with django_assert_max_num_queries(6):  # session, person, count, page, progress of the page; one to spare
        answer = staff_client.get(reverse(LIST))
    assert answer.status_code == 200
    assert answer.context["cl"].result_count == 10_000


def test_list_shows_how_far_each_job_is(staff_client: Client, running: BulkAction) -> None:
    said = staff_client.get(reverse(LIST)).content.decode()
    assert "1\u2009500 / 2\u2009500" in said
    assert 'value="60.0"' in said
    assert "Jo Field" in said


def test_list_finds_a_job_by_its_id_in_any_spelling(staff_client: Client, running: BulkAction) -> None:
    for spelling in (str(running.pk), running.pk.hex, close_id("bulkdelete", running.pk)):
        assert staff_client.get(reverse(LIST), {"q": spelling}).context["cl"].result_count == 1
    assert staff_client.get(reverse(LIST), {"q": str(uuid4())}).context["cl"].result_count == 0


def test_an_id_of_the_api_leads_to_the_page_of_its_job(staff_client: Client, running: BulkAction) -> None:
    address = reverse("admin:bulk_actions_bulkaction_changelist") + f"{running.api_id}/change/"
    assert running.api_id in staff_client.get(address, follow=True).content.decode()
    unknown = reverse("admin:bulk_actions_bulkaction_changelist") + f"{close_id('bulkedit', uuid4())}/change/"
    assert "Perhaps it was deleted" in staff_client.get(unknown, follow=True).content.decode()


@pytest.mark.parametrize("key", ["abc", "bulkdelete_zzz", "%00"])
def test_a_mistyped_id_is_a_job_that_does_not_exist(staff_client: Client, running: BulkAction, key: str) -> None:
    address = f"{reverse(LIST)}{key}/"
    assert "doesn’t exist" in staff_client.get(f"{address}change/", follow=True).content.decode()
    assert staff_client.post(f"{address}pause_job/", {"_form_submitted": "True"}).status_code == 404


def test_page_of_a_waiting_job_says_its_place(staff_client: Client, organization: Organization, user: User) -> None:
    jobs = [job(organization, user, status) for status in (Status.CREATED, Status.PAUSED, Status.RESUMING)]
    said = [staff_client.get(reverse(PAGE, args=[made.pk])).content.decode() for made in jobs]
    assert ["Place in the queue" in text for text in said] == [True, False, True]


def test_page_shows_counts_filter_and_transitions(staff_client: Client, running: BulkAction, user: User) -> None:
    Transition.objects.create(action=running, new_status=Status.CREATED, by=user)
    Transition.objects.create(
        action=running, old_status=Status.PAUSED, new_status=Status.RESUMING, by=user, reason="the fair is <over>"
    )
    said = staff_client.get(reverse(PAGE, args=[running.pk])).content.decode()
    for count in ("1\u2009400", "60", "30", "10", "1\u2009000"):
        assert f">{count}</dd>" in said
    assert "Every lead." in said
    assert "the fair is &lt;over&gt;" in said
    assert user.email in said


def test_page_costs_the_same_however_many_batches(
    staff_client: Client, running: BulkAction, django_assert_max_num_queries: MaxQueries
) -> None:
    Batch.objects.bulk_create([Batch(action=running, lead_ids=[], n_leads=1) for _ in range(2000)])
    with django_assert_max_num_queries(15):
        assert staff_client.get(reverse(PAGE, args=[running.pk])).status_code == 200


def test_progress_answers_with_the_figures_of_the_moment(staff_client: Client, running: BulkAction) -> None:
    figures = staff_client.get(reverse("admin:bulk_actions_bulkaction_progress", args=[running.pk])).json()
    assert (figures["status"], figures["percent"], figures["failed"]) == ("processing", 60.0, "10")
    Batch.objects.filter(action=running, date_done=None).update(n_succeeded=1000, date_done=timezone.now())
    figures = staff_client.get(reverse("admin:bulk_actions_bulkaction_progress", args=[running.pk])).json()
    assert (figures["percent"], figures["pending"]) == (100.0, "0")


def test_failed_leads_are_paged_with_links(staff_client: Client, running: BulkAction) -> None:
    lead = factories.LeadFactory.create(organization=running.organization, name="Oakvale Mills")
    batch = Batch.objects.filter(action=running).first()
    LeadOutcome.objects.bulk_create(
        [
            LeadOutcome(
                action=running,
                batch=batch,
                lead_id=lead.pk if n == 0 else uuid4(),
                outcome=Outcome.FAILED,
                code="odd",
                message=f"number {n}",
            )
            for n in range(250)
        ]
    )
    address = reverse("admin:bulk_actions_bulkaction_leads", args=[running.pk, "failed"])
    first = staff_client.get(address)
    assert reverse("admin:crm_lead_change", args=[lead.pk]) in first.content.decode()
    second = staff_client.get(address + first.context["next_link"])
    third = staff_client.get(address + second.context["next_link"])
    assert [row[2] for row in third.context["rows"]] == [f"number {n}" for n in range(200, 250)]
    assert third.context["next_link"] is None
    back = staff_client.get(address + third.context["previous_link"])
    assert [row[2] for row in back.context["rows"]] == [f"number {n}" for n in range(100, 200)]


@pytest.mark.parametrize("rest", ["leads/succeeded/", "leads/failed/?after=x", "batches/?before=99999999999999999999"])
def test_odd_addresses_under_a_job_are_no_errors(staff_client: Client, running: BulkAction, rest: str) -> None:
    assert staff_client.get(reverse(PAGE, args=[running.pk]).replace("change/", rest)).status_code in (200, 404)


def test_pause_button_calls_the_service_and_keeps_the_reason(staff_client: Client, running: BulkAction) -> None:
    press(staff_client, "pause", running, reason="wrong filter")
    running.refresh_from_db()
    last = running.transitions.order_by("-pk").first()
    assert running.status == Status.PAUSED
    assert (last.reason, last.by.email) == ("wrong filter", "ada@oakvale.example")


def test_a_get_of_a_button_changes_nothing(staff_client: Client, running: BulkAction) -> None:
    address = reverse("admin:bulk_actions_bulkaction_pause_job", args=[running.pk])
    assert staff_client.get(address).status_code == 200
    running.refresh_from_db()
    assert running.status == Status.PROCESSING


def test_resume_and_cancel_buttons_call_the_services(staff_client: Client, running: BulkAction) -> None:
    press(staff_client, "pause", running)
    press(staff_client, "resume", running)
    running.refresh_from_db()
    assert running.status == Status.RESUMING
    press(staff_client, "cancel", running)
    running.refresh_from_db()
    assert (running.status, running.error_code, running.n_succeeded) == (Status.ERROR, "cancelled", 1400)


def test_page_offers_only_the_buttons_that_fit(staff_client: Client, organization: Organization, user: User) -> None:
    offered = {
        status: {
            name
            for name in ("pause", "resume", "cancel")
            if f"/{name}_job/"
            in staff_client.get(reverse(PAGE, args=[job(organization, user, status).pk])).content.decode()
        }
        for status in (Status.PROCESSING, Status.PAUSED, Status.DONE)
    }
    assert offered == {
        Status.PROCESSING: {"pause", "cancel"},
        Status.PAUSED: {"resume", "cancel"},
        Status.DONE: set(),
    }


def test_list_actions_move_what_can_move_and_say_what_cannot(
    staff_client: Client, running: BulkAction, organization: Organization, user: User
) -> None:
    ended = job(organization, user, Status.DONE, n_leads=0)
    said = run_on_list(staff_client, "pause", running, ended)
    running.refresh_from_db()
    assert running.status == Status.PAUSED
    assert f"Delete {str(ended.pk)[:8]}: Cannot pause: the status is done." in said
    assert f"Delete {str(running.pk)[:8]}: Paused" in said


def test_nothing_can_be_added_changed_or_deleted(staff_client: Client, running: BulkAction) -> None:
    page = reverse(PAGE, args=[running.pk])
    assert staff_client.get(reverse("admin:bulk_actions_bulkaction_add")).status_code == 403
    assert staff_client.post(page, {"status": "done"}).status_code == 403
    assert staff_client.post(page.replace("change/", "delete/"), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in staff_client.get(reverse(LIST)).content.decode()
    running.refresh_from_db()
    assert running.status == Status.PROCESSING


def test_who_is_not_staff_is_sent_to_the_login(client: Client, running: BulkAction, user: User) -> None:
    client.force_login(user)
    for name, arguments in ((LIST, []), (PAGE, [running.pk]), ("admin:bulk_actions_bulkaction_progress", [running.pk])):
        answer = client.get(reverse(name, args=arguments))
        assert answer.status_code == 302
        assert reverse("admin:login") in answer.url


def test_staff_who_may_only_look_cannot_steer(client: Client, running: BulkAction) -> None:
    looker = User.objects.create_user("lev@oakvale.example", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_bulkaction"))
    client.force_login(looker)
    assert "pause_job" not in client.get(reverse(PAGE, args=[running.pk])).content.decode()
    assert press(client, "pause", running).status_code == 403
    run_on_list(client, "pause", running)
    running.refresh_from_db()
    assert running.status == Status.PROCESSING


def test_staff_without_any_permission_see_no_job(client: Client, running: BulkAction) -> None:
    client.force_login(User.objects.create_user("bo@oakvale.example", is_staff=True))
    under = ("progress/", "batches/", "leads/failed/")
    for address in [reverse(LIST), *(reverse(PAGE, args=[running.pk]).replace("change/", rest) for rest in under)]:
        assert client.get(address).status_code == 403


def test_first_page_tells_how_the_engine_is(staff_client: Client, running: BulkAction) -> None:
    said = staff_client.get(reverse("admin:index")).content.decode()
    assert "Running jobs" in said
    assert reverse(PAGE, args=[running.pk]) in said


def test_a_one_line_query_is_shown_as_it_was_written(
    staff_client: Client, organization: Organization, user: User
) -> None:
    made = job(organization, user, Status.DONE, query="name:moss & slice:1/3", date_finished=timezone.now())
    page = staff_client.get(reverse(PAGE, args=[made.pk])).content.decode()
    assert "Leads found by: name:moss &amp; slice:1/3" in page


def test_simple_filters_are_said_in_one_sentence(organization: Organization) -> None:
    status = factories.LeadStatusFactory.create(organization=organization, label="Trial")
    name = {"type": "regular_field", "object_type": "lead", "field_name": "name"}
    status_id = {"type": "regular_field", "object_type": "lead", "field_name": "status_id"}
    words = {"type": "text", "mode": "full_words", "value": "mills"}
    reference = {"type": "reference", "reference_type": "status.lead", "object_ids": [close_id("stat", status.pk)]}
    query = {
        "queries": [
            {"type": "object_type", "object_type": "lead"},
            {"type": "field_condition", "field": name, "condition": words},
            {"type": "field_condition", "field": status_id, "condition": reference, "negate": True},
        ]
    }
    assert sentence_of(query) == "Leads where name has the words “mills” and not (status is Trial)."
    assert sentence_of({"query": MATCH_ALL, "sort": []}) == "Every lead."


@pytest.mark.parametrize(
    "query",
    [
        None,
        [],
        {},
        {"type": "new"},
        {"type": "and", "queries": 3},
        {"type": "or", "queries": []},
        {"type": "object_type", "object_type": "contact"},
    ],
)
def test_filters_without_words_are_left_to_their_json(db: None, query: object) -> None:
    assert sentence_of(query) is None

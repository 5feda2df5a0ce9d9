"""The admin of bulk actions: fast with many jobs, read-only, and steering by the services alone."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bulk_actions import ledger, slots
from bulk_actions.admin.wording import sentence_of
from bulk_actions.loading import load
from bulk_actions.models import Batch, BulkAction, Kind, Priority, Transition
from bulk_actions.states import Status
from crm.auth import make_api_key
from crm.ids import close_id, hex_id
from crm.models import Dialect, Lead, LeadStatus, Membership, Organization, User
from tests import factories
from tests.blueai import BlueAI
from tests.bulk_actions.helpers import check_invariant, make_leads, run_to_end, status_job

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
            Batch(action=made, rank=1, lead_ids=[], n_leads=1000, n_succeeded=1000, date_done=now),
            Batch(
                action=made,
                rank=1001,
                lead_ids=[],
                n_leads=500,
                n_succeeded=400,
                n_unchanged=60,
                n_skipped=30,
                n_failed=10,
                date_done=now,
            ),
            Batch(action=made, rank=1501, lead_ids=[], n_leads=1000),
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
    Batch.objects.bulk_create(
        [Batch(action=running, rank=2501 + place, lead_ids=[], n_leads=1) for place in range(2000)]
    )
    with django_assert_max_num_queries(15):
        assert staff_client.get(reverse(PAGE, args=[running.pk])).status_code == 200


def test_progress_answers_with_the_figures_of_the_moment(staff_client: Client, running: BulkAction) -> None:
    figures = staff_client.get(reverse("admin:bulk_actions_bulkaction_progress", args=[running.pk])).json()
    assert (figures["status"], figures["percent"], figures["failed"]) == ("processing", 60.0, "10")
    Batch.objects.filter(action=running, date_done=None).update(n_succeeded=1000, date_done=timezone.now())
    figures = staff_client.get(reverse("admin:bulk_actions_bulkaction_progress", args=[running.pk])).json()
    assert (figures["percent"], figures["pending"]) == (100.0, "0")


@pytest.fixture
def ended(membership: Membership, old_status: LeadStatus, new_status: LeadStatus, no_doorbells: None) -> BulkAction:
    """250 leads: 240 changed, 6 skipped since they are gone, 4 failed."""
    leads = make_leads(old_status, 250)
    made = status_job(membership, new_status, leads)
    slots.start_if_free(made)
    load(made.pk)
    Lead.objects.filter(pk__in=[lead.pk for lead in leads[100:106]]).update(deleted_at=timezone.now())
    for lead in leads[200:208:2]:
        batch = Batch.objects.filter(action=made).latest("rank")
        rest = ledger.split(batch.pk, batch.lead_ids.index(lead.pk))
        ledger.split(rest, 1)
        ledger.record_failure(rest, "odd", f"{lead.name} is odd")
    return run_to_end(made)


def results_of(client: Client, action: BulkAction, query: str = "") -> object:
    return client.get(reverse("admin:bulk_actions_bulkaction_results", args=[action.pk]) + query)


def test_results_are_paged_in_the_order_of_the_job_with_links(staff_client: Client, ended: BulkAction) -> None:
    first = results_of(staff_client, ended)
    lead = Lead.objects.order_by("pk").first()
    assert reverse("admin:crm_lead_change", args=[lead.pk]) in first.content.decode()
    second = results_of(staff_client, ended, first.context["next_link"])
    third = results_of(staff_client, ended, second.context["next_link"])
    pages = [answer.context["rows"] for answer in (first, second, third)]
    assert [row[0] for rows in pages for row in rows] == [str(place) for place in range(1, 251)]
    assert [len(rows) for rows in pages] == [100, 100, 50]
    assert third.context["next_link"] is None
    assert [row[3] for row in pages[1][:7]] == ["skipped"] * 6 + ["succeeded"]


@pytest.mark.parametrize(("outcome", "n"), [("failed", 4), ("skipped", 6), ("unchanged", 0), ("pending", 0)])
def test_results_can_be_narrowed_to_one_outcome(staff_client: Client, ended: BulkAction, outcome: str, n: int) -> None:
    answer = results_of(staff_client, ended, f"?outcome={outcome}")
    assert {row[3] for row in answer.context["rows"]} == ({outcome} if n else set())
    assert len(answer.context["rows"]) == n
    saved = staff_client.get(answer.context["csv_link"])
    lines = b"".join(saved.streaming_content).decode().splitlines()
    assert lines[0] == "lead_id,outcome,code,message"
    assert [line.split(",")[1] for line in lines[1:]] == [outcome] * n
    assert saved.headers["Content-Disposition"] == f'attachment; filename="{ended.api_id}.csv"'


def test_results_of_a_job_without_its_ledger_say_so(staff_client: Client, ended: BulkAction) -> None:
    link = results_of(staff_client, ended).context["csv_link"]
    BulkAction.objects.filter(pk=ended.pk).update(date_ledger_purged=timezone.now())
    assert "no longer known" in results_of(staff_client, ended).content.decode()
    assert staff_client.get(link).status_code == 404
    page = staff_client.get(reverse(PAGE, args=[ended.pk])).content.decode()
    assert not [name for name in ("undo", "retry_failed", "retry_skipped") if f"/{name}_job/" in page]


def newest() -> BulkAction:
    return BulkAction.objects.latest("pk")


def test_retry_buttons_make_a_job_over_those_leads_and_lead_to_it(staff_client: Client, ended: BulkAction) -> None:
    for outcome, n in (("failed", 4), ("skipped", 6)):
        answer = press(staff_client, f"retry_{outcome}", ended)
        made = newest()
        assert answer.url == reverse(PAGE, args=[made.pk])
        assert (made.retry_of_id, made.created_by.email) == (ended.pk, "ada@oakvale.example")
        assert made.s_query["outcome"] == [outcome]
        if outcome == "failed":
            assert run_to_end(made).n_succeeded == n
        page = staff_client.get(answer.url).content.decode()
        assert reverse(PAGE, args=[ended.pk]) in page
        assert f"the outcome in {ended.api_id} is {outcome}" in page
    assert reverse(PAGE, args=[newest().pk]) in staff_client.get(reverse(PAGE, args=[ended.pk])).content.decode()


@pytest.mark.parametrize("force", [False, True])
def test_the_undo_button_restores_and_with_force_also_what_was_changed_since(
    staff_client: Client, ended: BulkAction, old_status: LeadStatus, force: bool
) -> None:
    third = factories.LeadStatusFactory.create(organization=old_status.organization)
    Lead.objects.filter(pk=Lead.objects.order_by("pk").first().pk).update(status=third)
    press(staff_client, "undo", ended, **({"force": "on"} if force else {}))
    made = run_to_end(newest())
    assert made.undo_of_id == ended.pk
    assert (made.n_succeeded, made.n_skipped) == ((240, 0) if force else (239, 1))
    assert "Undone by" in staff_client.get(reverse(PAGE, args=[ended.pk])).content.decode()
    answer = press(staff_client, "undo", ended)
    assert answer.url == reverse(PAGE, args=[ended.pk])
    assert "has been undone" in staff_client.get(answer.url).content.decode()


def test_the_pace_dialog_knows_the_ceiling_and_the_priority_and_changes_them(
    staff_client: Client, running: BulkAction
) -> None:
    BulkAction.objects.filter(pk=running.pk).update(leads_per_minute=600, priority=Priority.HIGH)
    dialog = staff_client.get(reverse("admin:bulk_actions_bulkaction_pace_job", args=[running.pk])).content.decode()
    assert 'value="600"' in dialog
    assert '<option value="1" selected>' in dialog
    press(staff_client, "pace", running, leads_per_minute="", priority="-1")
    running.refresh_from_db()
    assert (running.leads_per_minute, running.priority) == (None, Priority.LOW)
    press(staff_client, "pace", running, leads_per_minute="0", priority="-1")
    running.refresh_from_db()
    assert running.leads_per_minute is None


def test_list_and_page_tell_why_a_job_stands_and_what_it_came_of(
    staff_client: Client, organization: Organization, user: User, running: BulkAction
) -> None:
    later = timezone.now() + timedelta(days=1)
    told = [
        (job(organization, user, Status.PAUSED, status_reason="canary", canary_leads=100), "first leads are done"),
        (job(organization, user, Status.PAUSED, status_reason="lunch <now>"), "lunch &lt;now&gt;"),
        (job(organization, user, Status.ERROR, error_code="too_many_leads", max_leads=5), "too many leads"),
        (job(organization, user, Status.CREATED, run_at=later), f"not before {later:%Y-%m-%d %H:%M} UTC"),
        (job(organization, user, Status.CREATED, priority=Priority.HIGH), "place 1 in the queue, high priority"),
        (job(organization, user, Status.DONE, undo_of_id=running.pk, n_leads=0), "an undo"),
        (job(organization, user, Status.DONE, retry_of_id=running.pk, n_leads=0), "a retry"),
    ]
    with_notes = staff_client.get(reverse(LIST)).content.decode()
    pages = [staff_client.get(reverse(PAGE, args=[made.pk])).content.decode() for made, _ in told]
    for _, words in told:
        assert words in with_notes
    facts = ["after 100 leads", "lunch &lt;now&gt;", "Refused above", f"{later:%Y-%m-%d %H:%M}", "high"]
    facts += [reverse(PAGE, args=[running.pk])] * 2
    for fact, page in zip(facts, pages, strict=True):
        assert fact in page


@pytest.mark.parametrize(
    "rest", ["results/?outcome=odd", "results/?after=x", "results/?after=99999999999999999999", "batches/?before=-1"]
)
def test_odd_addresses_under_a_job_are_no_errors(staff_client: Client, running: BulkAction, rest: str) -> None:
    assert staff_client.get(reverse(PAGE, args=[running.pk]).replace("change/", rest)).status_code == 200


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
    cases: list[tuple[Status, dict[str, int], set[str]]] = [
        (Status.PROCESSING, {}, {"pause", "cancel", "pace"}),
        (Status.PAUSED, {}, {"resume", "cancel", "pace"}),
        (Status.DONE, {"n_unchanged": 3}, set()),
        (Status.DONE, {"n_succeeded": 3}, {"undo"}),
        (Status.ERROR, {"n_failed": 3, "n_skipped": 1}, {"retry_failed", "retry_skipped"}),
    ]
    for status, counts, fitting in cases:
        made = job(organization, user, status, **counts)
        page = staff_client.get(reverse(PAGE, args=[made.pk])).content.decode()
        buttons = ("pause", "resume", "cancel", "pace", "undo", "retry_failed", "retry_skipped")
        assert {name for name in buttons if f"/{name}_job/" in page} == fitting


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
    under = ("progress/", "batches/", "results/", "results.csv")
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


def test_an_export_of_everything_says_so_and_shows_no_query_that_nobody_sent(
    staff_client: Client, organization: Organization, user: User
) -> None:
    params = {"type": "contacts", "target": "lead", "format": "csv"}
    resolved = {"node": {"is": "MatchAll"}}
    export = job(
        organization, user, Status.CREATED, kind=Kind.EXPORT, params=params, s_query=None, resolved_query=resolved
    )
    page = staff_client.get(reverse(PAGE, args=[export.pk])).content.decode()
    assert "Every lead." in page
    assert "MatchAll" not in page
    assert "Export contacts as CSV" in staff_client.get(reverse(LIST)).content.decode()


def test_a_call_over_deals_speaks_of_deals_and_names_them_by_their_leads(
    staff_client: Client, membership: Membership
) -> None:
    deal = factories.OpportunityFactory.create(
        lead=factories.LeadFactory.create(organization=membership.organization, name="Oakvale Mills")
    )
    blueai = BlueAI(make_api_key(membership=membership, dialect=Dialect.BLUEAI)[1])
    ids = {"ids": [hex_id("deal", deal.pk)], "assigned_member_id": hex_id("usr", membership.user_id)}
    assert blueai.post("/crm/bulk/deals/update", ids).json()["processed"] == 1
    call = BulkAction.objects.get()
    page = staff_client.get(reverse(PAGE, args=[call.pk])).content.decode()
    assert [
        words for words in ("Those that the call named.", "<span>deals</span>", "failed deals") if words not in page
    ] == []
    results = staff_client.get(reverse("admin:bulk_actions_bulkaction_results", args=[call.pk])).content.decode()
    assert "Oakvale Mills" in results
    check_invariant(call)


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

"""What a preview says is what the job then does, when nobody else changes anything."""

from datetime import UTC
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_actions.api.orders import asked_of, order_of
from bulk_actions.models import Batch, BulkAction, Kind, Preview, Transition
from bulk_actions.previews import DEFAULT_RATE, MAX_SAMPLES, Forecast, preview
from bulk_actions.seals import token_of
from bulk_actions.services import Order, create_bulk_action
from bulk_actions.states import Status
from crm.ids import close_id
from crm.models import CustomField, Lead, LeadStatus, Membership
from search.errors import SearchTooSlow
from tests import factories
from tests.bulk_actions.helpers import caller_of, make_leads, run_to_end, status_job
from tests.search.helpers import EXISTS, MATCH_ALL, all_of, custom, of_type, regular, term, text, where

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

CHOICES = ["a", "b", "c"]
TEXTS = ["x", "y"]


@pytest.fixture
def single(old_status: LeadStatus) -> CustomField:
    return factories.CustomFieldFactory.create(organization=old_status.organization, type="text", name="Single")


@pytest.fixture
def several(old_status: LeadStatus) -> CustomField:
    return factories.CustomFieldFactory.create(
        organization=old_status.organization, type="choices", accepts_multiple_values=True, choices=CHOICES, name="Many"
    )


def ordered(membership: Membership, kind: Kind, body: dict[str, Any], *, is_preview: bool = True) -> Order:
    return order_of(kind, body, caller=caller_of(membership), tz=UTC, is_preview=is_preview)


def previewed(membership: Membership, kind: Kind, body: dict[str, Any], *, seal: bool = False) -> Forecast:
    order = ordered(membership, kind, body)
    return preview(order=order, caller=caller_of(membership), seal=seal, asked=asked_of(body))


def to_status(status: LeadStatus, **more: Any) -> dict[str, Any]:
    return {
        "s_query": MATCH_ALL, "type": "set_lead_status", "lead_status_id": close_id("stat", status.pk), **more
    }  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn, statuses: list[LeadStatus], single: CustomField, several: CustomField) -> dict[str, Any]:
    """An order of any kind over any of our leads; `lead_ids` are places, to be replaced by ids."""
    lists = st.lists(st.sampled_from(CHOICES), min_size=1, unique=True)
    change = draw(
        st.one_of(
            st.just({}),  # a delete
            st.sampled_from(statuses).map(lambda status: to_status(status)),
            st.sampled_from(TEXTS).map(
                lambda value: {
                    "type": "set_custom_field", "custom_field_id": close_id("cf", single.pk),
                    "custom_field_value": value,
                }
            ),
            st.tuples(lists, st.sampled_from(["replace", "add", "remove"])).map(
                lambda given: {
                    "type": "set_custom_field", "custom_field_id": close_id("cf", several.pk),
                    "custom_field_values": given[0], "custom_field_operation": given[1],
                }
            ),
            st.sampled_from([single, several]).map(
                lambda field: {"type": "clear_custom_field", "custom_field_id": close_id("cf", field.pk)}
            ),
        )
    )  # fmt: skip
    change.pop("s_query", None)
    queries = [
        MATCH_ALL,
        where(regular("lead", "name"), text("Mill")),
        where(custom(several), EXISTS),
        where(custom(several), term("a")),
    ]
    if change:
        queries.append(all_of(of_type("contact")))
    target = draw(st.one_of(
        st.sampled_from(queries).map(lambda query: {"s_query": query}),
        st.just({"query": "mill"}),
        st.lists(st.integers(0, 7), min_size=1).map(lambda places: {"lead_ids": places}),
    ))  # fmt: skip
    sort = [{"direction": draw(st.sampled_from(["asc", "desc"])), "field": regular("lead", "name")}]
    options = {
        "results_limit": st.none() | st.integers(0, 5),
        "max_leads": st.none() | st.integers(1, 6),
        "on_changed": st.sampled_from(["apply", "skip"]),
    }
    body = {**change, **target, **{key: draw(values) for key, values in options.items()}}
    of_leads = target.get("s_query") != queries[-1] or not change
    return {**body, "sort": sort} if of_leads and draw(st.booleans()) else body


@given(data=st.data())
@settings(database=None, max_examples=80)
def test_the_forecast_is_what_the_job_then_does(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, single: CustomField, several: CustomField,
    data: st.DataObject,
) -> None:  # fmt: skip
    leads = _random_leads(data, [old_status, new_status], single, several)
    body = data.draw(bodies([old_status, new_status], single, several))
    if "lead_ids" in body:
        body["lead_ids"] = [close_id("lead", leads[place % len(leads)].pk) for place in body["lead_ids"]]
    kind = Kind.EDIT if "type" in body else Kind.DELETE
    seal = data.draw(st.booleans())

    held = _held_by_all()
    forecast = previewed(membership, kind, body, seal=seal)
    assert _held_by_all() == held, "a preview changes no lead"
    if seal:
        assert forecast.sealed is not None
        body["preview_token"] = token_of(forecast.sealed)
    order = ordered(membership, kind, body, is_preview=False)
    action = run_to_end(create_bulk_action(order=order, caller=caller_of(membership)))

    blocked = sum(reason.n_leads for reason in forecast.blocked)
    assert forecast.would_change + forecast.already_equal + blocked == forecast.n_leads
    if forecast.blocked:
        [reason] = forecast.blocked
        assert (action.status, action.error_code) == (Status.ERROR, reason.code)
        assert action.error_message == reason.message
        assert _held_by_all() == held
        return
    assert action.status == Status.DONE
    assert (action.n_leads, action.n_succeeded) == (forecast.n_leads, forecast.would_change)
    assert (action.n_unchanged, action.n_skipped) == (forecast.already_equal, 0)
    changed = [
        lead_id
        for batch in Batch.objects.filter(action=action.pk).order_by("rank")
        for lead_id in batch.lead_ids
        if lead_id in (batch.changed_ids or [])
    ]
    assert [sample.lead_id for sample in forecast.samples] == changed[:MAX_SAMPLES]
    now = {lead.pk: lead for lead in Lead.all_objects.all()}
    for sample in forecast.samples:
        assert sample.before == _value(held[sample.lead_id], body, single, several)
        assert sample.after == _value(now[sample.lead_id], body, single, several)


def _random_leads(
    data: st.DataObject, statuses: list[LeadStatus], single: CustomField, several: CustomField
) -> list[Lead]:
    Lead.all_objects.all().delete()
    for n in range(data.draw(st.integers(1, 7))):
        values = {
            single.key: data.draw(st.none() | st.sampled_from(TEXTS)),
            several.key: data.draw(st.lists(st.sampled_from(CHOICES), unique=True)) or None,
        }
        lead = factories.LeadFactory.create(
            organization=statuses[0].organization, status=data.draw(st.sampled_from(statuses)),
            name=data.draw(st.sampled_from([f"Mill {n}", f"Barn {n}"])),
            custom={key: value for key, value in values.items() if value is not None},
        )  # fmt: skip
        if data.draw(st.booleans()):
            factories.ContactFactory.create(lead=lead)
    return list(Lead.objects.order_by("pk"))


def _held_by_all() -> dict[Any, Lead]:
    return {lead.pk: lead for lead in Lead.all_objects.all()}


def _value(lead: Lead, body: dict[str, Any], single: CustomField, several: CustomField) -> object:
    """What a lead holds of what the order changes, in stored form."""
    if "type" not in body:
        return None if lead.deleted_at else {"name": lead.name, "status_id": str(lead.status_id)}
    if body["type"] == "set_lead_status":
        return str(lead.status_id)
    field = single if body["custom_field_id"] == close_id("cf", single.pk) else several
    return lead.custom.get(field.key)


def test_a_preview_touches_no_lead_at_all(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    make_leads(old_status, 50)
    before = _versions()
    for seal in (False, True):
        forecast = previewed(membership, Kind.EDIT, to_status(new_status), seal=seal)
        assert (forecast.n_leads, forecast.would_change) == (50, 50)
    assert _versions() == before
    assert not BulkAction.objects.exists()


def _versions() -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, xmin, xmax, ctid FROM crm_lead ORDER BY id")
        return cursor.fetchall()


def test_a_preview_without_a_seal_writes_nothing(membership: Membership, old_status: LeadStatus) -> None:
    make_leads(old_status, 5)
    assert previewed(membership, Kind.DELETE, {"s_query": MATCH_ALL}).sealed is None
    assert not Preview.objects.exists()
    assert not Batch.objects.exists()


@pytest.mark.parametrize("n_leads", [0, 1])
@pytest.mark.parametrize("seal", [False, True])
def test_a_preview_of_one_lead_or_none(
    membership: Membership, old_status: LeadStatus, n_leads: int, seal: bool
) -> None:
    make_leads(old_status, n_leads)
    forecast = previewed(membership, Kind.DELETE, {"s_query": MATCH_ALL}, seal=seal)
    assert (forecast.n_leads, forecast.would_change, forecast.already_equal) == (n_leads, n_leads, 0)
    assert len(forecast.samples) == n_leads
    assert forecast.estimate.seconds == 0
    if forecast.sealed:
        assert forecast.sealed.n_leads == n_leads


def test_samples_are_the_first_twenty_that_would_change_in_the_order_of_the_job(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    equal = make_leads(new_status, 30)
    leads = make_leads(old_status, 30)
    body = to_status(
        new_status, sort=[{"direction": "desc", "field": regular("lead", "date_created")}], results_limit=45
    )
    Lead.objects.filter(pk__in=[lead.pk for lead in equal]).update(date_created="2031-01-02T00:00:00Z")
    for n, lead in enumerate(leads):
        Lead.objects.filter(pk=lead.pk).update(date_created=f"2031-01-01T00:00:{n:02}Z")
    forecast = previewed(membership, Kind.EDIT, body)
    assert (forecast.n_leads, forecast.would_change, forecast.already_equal) == (45, 15, 30)
    assert [sample.lead_id for sample in forecast.samples] == [lead.pk for lead in leads[::-1][:15]]
    assert len(previewed(membership, Kind.EDIT, to_status(new_status)).samples) == MAX_SAMPLES


def test_leads_of_other_organizations_are_not_counted(membership: Membership, old_status: LeadStatus) -> None:
    make_leads(old_status, 3)
    foreign = factories.LeadFactory.create()
    assert previewed(membership, Kind.DELETE, {"s_query": MATCH_ALL}).n_leads == 3
    ids = [close_id("lead", key) for key in (foreign.pk, Lead.objects.first().pk)]
    assert previewed(membership, Kind.DELETE, {"lead_ids": ids}).n_leads == 1


def test_a_preview_that_takes_too_long_is_refused_and_seals_nothing(
    membership: Membership, old_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_leads(old_status, 3)
    endless = "SELECT id FROM crm_lead, (SELECT pg_sleep(30)) AS pause", ()
    monkeypatch.setattr("bulk_actions.previews.targets_of", lambda job: endless)
    monkeypatch.setattr("django.conf.settings.SEARCH_STATEMENT_TIMEOUT_SECONDS", 1)
    for seal in (False, True):
        with pytest.raises(SearchTooSlow):
            previewed(membership, Kind.DELETE, {"s_query": MATCH_ALL}, seal=seal)
    assert not Preview.objects.exists()


# --- how long it would take -------------------------------------------------------------------------------------------
def finished(membership: Membership, status: LeadStatus, *, n_leads: int, seconds: float, **more: object) -> BulkAction:
    action = status_job(membership, status, [], **more)
    BulkAction.objects.filter(pk=action.pk).update(
        status="done", n_leads=n_leads, date_started="2031-01-01T00:00:00Z",
        date_finished=f"2031-01-01T00:00:{seconds:09.6f}Z",
    )  # fmt: skip
    return action


def test_without_a_measurement_the_estimate_is_by_a_default_rate(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    make_leads(old_status, 2000)
    estimate = previewed(membership, Kind.EDIT, to_status(new_status)).estimate
    assert (estimate.basis, estimate.leads_per_second) == ("default", DEFAULT_RATE)
    assert estimate.seconds == 2000 / DEFAULT_RATE


def test_the_estimate_is_by_the_jobs_of_that_kind_that_ran_undisturbed(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    make_leads(old_status, 100)
    finished(membership, new_status, n_leads=9000, seconds=10)
    finished(membership, new_status, n_leads=1000, seconds=30)
    finished(membership, new_status, n_leads=999, seconds=50)  # too small to tell
    finished(membership, new_status, n_leads=5000, seconds=50, leads_per_minute=6000)
    paused = finished(membership, new_status, n_leads=5000, seconds=59)
    Transition.objects.create(action=paused, new_status=Status.PAUSED)
    finished(factories.MembershipFactory.create(), new_status, n_leads=5000, seconds=1)
    estimate = previewed(membership, Kind.EDIT, to_status(new_status)).estimate
    assert (estimate.basis, estimate.leads_per_second, estimate.seconds) == ("measured", 250, 0.4)
    assert previewed(membership, Kind.DELETE, {"s_query": MATCH_ALL}).estimate.basis == "default"


def test_a_ceiling_below_the_rate_decides_the_estimate(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    make_leads(old_status, 100)
    estimate = previewed(membership, Kind.EDIT, to_status(new_status, leads_per_minute=60)).estimate
    assert (estimate.basis, estimate.leads_per_second, estimate.seconds) == ("ceiling", 1, 100)
    high = previewed(membership, Kind.EDIT, to_status(new_status, leads_per_minute=2_000_000_000)).estimate
    assert high.basis == "default"

"""An organization that has one of everything, all its texts marked with one word."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bulk_actions import import_results
from bulk_actions.models import BulkAction
from bulk_actions.results import sign_cursor
from bulk_actions.targets import OUTCOMES
from crm.ids import from_base62
from crm.models import (
    Dialect,
    LeadStatusChange,
    Membership,
    OpportunityStatusChange,
    Organization,
    WebhookDelivery,
)
from crm.setup import create_organization
from tests import factories
from tests.tenancy.speakers import PREFIXES, Speaker, spelled

V1, AGENTS = "/api/v1", "/api/agents/crm"
ALL = {"type": "match_all"}


@dataclass
class World:
    """`keys`: of each kind of thing, the one that is there. `words`: what addresses something and is no key."""

    mark: str
    speaker: Speaker
    keys: dict[str, UUID]
    words: dict[str, str]

    @property
    def organization(self) -> Organization:
        return self.speaker.membership.organization

    def spelled(self, dialect: Dialect, kind: str) -> str:
        return self.words[kind] if kind in self.words else spelled(dialect, kind, self.keys[kind])

    def spellings(self) -> set[str]:
        """Every id and word of this world, as any dialect writes it."""
        ids = {spelled(d, kind, self.keys[kind]) for d, kinds in PREFIXES.items() for kind in kinds}
        return ids | set(self.words.values())


def furnish(mark: str) -> World:
    """A new organization, through its own API wherever that makes such things."""
    organization = create_organization(f"{mark} organization")
    Organization.objects.filter(pk=organization.pk).update(
        currency="JPY", lead_calls_per_minute=10**6, lead_calls_per_hour=10**6, lead_bulk_calls_per_minute=10**6
    )
    user = factories.UserFactory.create(email=f"{mark}@oakvale.example", first_name=mark)
    membership = factories.MembershipFactory.create(organization=organization, user=user)
    world = World(mark, Speaker(membership), {}, {})
    for step in (_people, _records, _history, _mail, _jobs, _of_the_other_dialects):
        step(world, membership)
    return world


def _key(shown: dict, name: str = "id") -> UUID:
    key = from_base62(shown[name].rpartition("_")[2])
    assert key is not None
    return key


def _people(world: World, membership: Membership) -> None:
    make, keys = world.speaker.make, world.keys
    keys |= {"user": membership.user_id, "organization": membership.organization_id, "membership": membership.pk}
    group = make(f"{V1}/group/", {"name": f"{world.mark} group"})
    keys["group"] = _key(group)
    make(f"{V1}/group/{group['id']}/member/", {"user_id": world.spelled(Dialect.CLOSE, "user")})
    fields = {
        "lead_field": ("lead", "text"), "user_field": ("lead", "user"), "contact_field": ("contact", "contact"),
        "opportunity_field": ("opportunity", "text"),
    }  # fmt: skip
    for kind, (record, type_) in fields.items():
        keys[kind] = _key(make(f"{V1}/custom_field/{record}/", {"name": f"{world.mark} {kind}", "type": type_}))
    keys["lead_status"] = _key(make(f"{V1}/status/lead/", {"label": f"{world.mark} status"}))
    pipeline = make(f"{V1}/pipeline/", {"name": f"{world.mark} pipeline"})
    keys["pipeline"] = _key(pipeline)
    keys["empty_pipeline"] = _key(make(f"{V1}/pipeline/", {"name": f"{world.mark} empty"}))
    for kind in ("status", "other_status"):
        body = {"label": f"{world.mark} {kind}", "pipeline_id": pipeline["id"]}
        keys[kind] = _key(make(f"{V1}/status/opportunity/", body))
    body = {
        "identities": [{"email": f"{world.mark}@oakvale.example", "name": world.mark}],
        "smtp": {"host": "mail.oakvale.example", "port": 587, "username": world.mark, "password": world.mark},
    }
    keys["account"] = _key(make(f"{V1}/connected_account/", body))


def _records(world: World, membership: Membership) -> None:
    make, keys, mark = world.speaker.make, world.keys, world.mark
    address = f"{mark}-{{}}@fir.example"
    lead = make(
        f"{V1}/lead/",
        {
            "name": f"{mark} lead", "url": f"https://{mark}.example", "addresses": [{"city": mark}],
            f"custom.{world.spelled(Dialect.CLOSE, 'lead_field')}": f"{mark} value",
            "contacts": [{"name": f"{mark} contact", "emails": [{"email": address.format("a"), "type": "office"}],
                          "phones": [{"phone": "+81312345678", "type": "office"}],
                          "urls": [{"url": f"https://{mark}.example", "type": "url"}]}],
        },
    )  # fmt: skip
    keys |= {"lead": _key(lead), "contact": _key(lead["contacts"][0])}
    keys["other_lead"] = _key(make(f"{V1}/lead/", {"name": f"{mark} other lead"}))
    opportunity = {
        "lead_id": lead["id"], "contact_id": lead["contact_ids"][0], "note": mark, "value": 5,
        "status_id": world.spelled(Dialect.CLOSE, "status"),
    }  # fmt: skip
    keys["opportunity"] = _key(make(f"{V1}/opportunity/", opportunity))
    task = {"lead_id": lead["id"], "contact_id": lead["contact_ids"][0], "text": mark}
    keys["task"] = _key(make(f"{V1}/task/", {**task, "assigned_to": world.spelled(Dialect.CLOSE, "user")}))
    view = {"name": f"{mark} view", "type": "lead", "is_shared": True, "s_query": {"query": {
        "type": "object_type", "object_type": "lead"}}}  # fmt: skip
    keys["view"] = _key(make(f"{V1}/saved_search/", view))
    world.words["address"] = make(f"{V1}/unsubscribe/email/", {"email": address.format("gone")})["email"]


def _history(world: World, membership: Membership) -> None:
    make, keys, mark = world.speaker.make, world.keys, world.mark
    lead, contact = (world.spelled(Dialect.CLOSE, kind) for kind in ("lead", "contact"))
    bodies: dict[str, dict[str, object]] = {
        "note": {"note": mark}, "call": {"note": mark}, "sms": {"text": mark, "status": "sent"},
        "email": {"status": "draft", "subject": mark, "body_text": mark, "to": [f"{mark}@fir.example"]},
        "meeting": {"title": mark},
    }  # fmt: skip
    for kind, body in bodies.items():
        keys[kind] = _key(make(f"{V1}/activity/{kind}/", {"lead_id": lead, "contact_id": contact, **body}))
    status = {"status_id": world.spelled(Dialect.CLOSE, "lead_status")}
    assert world.speaker.send("PUT", f"{V1}/lead/{lead}/", status).status_code == 200
    other = {"status_id": world.spelled(Dialect.CLOSE, "other_status")}
    opportunity = world.spelled(Dialect.CLOSE, "opportunity")
    assert world.speaker.send("PUT", f"{V1}/opportunity/{opportunity}/", other).status_code == 200
    keys["lead_change"] = LeadStatusChange.objects.get(organization=world.organization).pk
    changes = OpportunityStatusChange.objects.filter(organization=world.organization)
    keys["opportunity_change"] = changes.latest("pk").pk


def _mail(world: World, membership: Membership) -> None:
    make, keys, mark = world.speaker.make, world.keys, world.mark
    template = {"name": f"{mark} template", "subject": f"{mark} subject", "body": f"<p>{mark}</p>", "is_shared": True}
    keys["template"] = _key(make(f"{V1}/email_template/", template))
    keys["sms_template"] = _key(make(f"{V1}/sms_template/", {"name": f"{mark} message", "text": mark}))
    step = {"step_type": "email", "email_template_id": world.spelled(Dialect.CLOSE, "template"), "delay": 0}
    sequence = make(f"{V1}/sequence/", {"name": f"{mark} sequence", "timezone": "Europe/Riga", "steps": [step]})
    keys |= {"sequence": _key(sequence), "step": _key(sequence["steps"][0])}
    keys["other_sequence"] = _key(
        make(f"{V1}/sequence/", {"name": f"{mark} other", "timezone": "UTC", "steps": [step]})
    )
    world.words |= {"sender": f"{mark}@oakvale.example", "contact_email": f"{mark}-a@fir.example"}
    subscription = {
        "sequence_id": sequence["id"], "contact_id": world.spelled(Dialect.CLOSE, "contact"),
        "contact_email": world.words["contact_email"], "sender_account_id": world.spelled(Dialect.CLOSE, "account"),
        "sender_name": mark, "sender_email": world.words["sender"],
    }  # fmt: skip
    keys["subscription"] = _key(make(f"{V1}/sequence_subscription/", subscription))


def _jobs(world: World, membership: Membership) -> None:
    make, keys = world.speaker.make, world.keys
    status = {"type": "set_lead_status", "lead_status_id": world.spelled(Dialect.CLOSE, "lead_status")}
    bodies: dict[str, tuple[str, Any]] = {
        "edit": ("bulk_action/edit", {"s_query": ALL, **status}),
        "delete": ("bulk_action/delete", {"s_query": ALL}),
        "mailing": ("bulk_action/email", {"s_query": ALL, "template_id": world.spelled(Dialect.CLOSE, "template"),
                                          "email_account_id": world.spelled(Dialect.CLOSE, "account")}),
        "subscribing": ("bulk_action/sequence_subscription", {"s_query": ALL, "action_type": "pause"}),
        "upload": ("bulk_action/import/upload", f"Company,Email\n{world.mark} file,a@{world.mark}.example\n".encode()),
        "export": ("export/lead", {"format": "csv", "type": "leads"}),
    }  # fmt: skip
    for kind, (path, body) in bodies.items():
        keys[kind] = _key(make(f"{V1}/{path}/", body))
    keys["import"] = _key(make(f"{V1}/bulk_action/import/", {"upload_id": world.spelled(Dialect.CLOSE, "upload")}))
    for kind in ("delete", "edit", "mailing", "subscribing"):
        path, body = bodies[kind]
        sealed = make(f"{V1}/{path}/preview/", {**body, "seal": True})
        world.words[f"{kind}_preview"] = sealed["preview_token"]
    for kind in ("delete", "edit", "mailing", "subscribing", "import"):
        outcomes = import_results.OUTCOMES if kind == "import" else OUTCOMES
        world.words[f"{kind}_cursor"] = sign_cursor(BulkAction.objects.get(pk=keys[kind]), outcomes, 0)
    search = make(f"{V1}/data/search/", {"query": {"type": "object_type", "object_type": "lead"}, "_limit": 1})
    world.words["search_cursor"] = search["cursor"]


def _of_the_other_dialects(world: World, membership: Membership) -> None:
    make, keys, mark = world.speaker.make, world.keys, world.mark
    keys["key"] = world.speaker.key.pk
    deals = {
        "ids": [world.spelled(Dialect.BLUEAI, "opportunity")],
        "assigned_member_id": world.spelled(Dialect.BLUEAI, "user"),
    }
    job = make(f"{V1}/crm/bulk/deals/update/", deals, detail=1)["job_id"]
    keys["deals_job"] = UUID(job.rpartition("_")[2])
    activity = {"type": "note", "content": mark, "deal_id": world.spelled(Dialect.BLUEAI, "opportunity")}
    make(f"{V1}/crm/activities/", activity)
    webhook = make(f"{AGENTS}/lead-webhooks/", {"url": "https://nowhere.invalid/", "description": mark})["webhook"]
    keys["webhook"] = UUID(webhook["id"])
    make(f"{AGENTS}/leads/", {"contact_name": f"{mark} third", "contact_email": f"{mark}-third@fir.example"})
    keys["delivery"] = WebhookDelivery.objects.get(webhook=keys["webhook"]).pk
    keys["leads_job"] = UUID(make(f"{AGENTS}/leads/bulk/", {"leads": [{"contact_name": f"{mark} fourth"}]})["job_id"])
    world.words["leads_cursor"] = world.speaker.send("GET", f"{AGENTS}/leads/", query={"limit": 1}).json()[
        "next_cursor"
    ]

"""Templates of mails and messages: who sees and changes which, and what is checked before one is kept.

A template belongs to whoever made it; the others see it once it is shared. What a sequence uses stays shared, and
cannot be deleted. (close-api.md 4.7)
"""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now

from crm.auth import Caller
from crm.errors import FieldErrors, Forbidden, Invalid, NotFound
from crm.mail.addresses import has_controls
from crm.mail.liquid import MAX_SOURCE, WrongSource
from crm.mail.parts import clean_addresses, clean_attachments
from crm.mail.plain_text import text_of_template
from crm.mail.render import check_source
from crm.models import EmailTemplate, Organization, Role, SequenceStep, SmsTemplate, Undefined, User
from crm.models import Sequence as MailSequence
from crm.text import clean_name, clean_text

LONGEST_NAME = 255
LONGEST_SUBJECT = 1_000  # characters
LONGEST_MESSAGE = 10_000  # characters of a text message

Properties = Mapping[str, object]


def email_templates_for(caller: Caller) -> QuerySet[EmailTemplate]:
    """The templates that the caller may use: own and shared ones, archived or not, by name."""
    return usable_email_templates(caller.organization, caller.user).order_by("name", "id")


def usable_email_templates(organization: Organization, user: User) -> QuerySet[EmailTemplate]:
    """As `email_templates_for`, in no order."""
    mine = Q(created_by=user.pk) | Q(is_shared=True)
    return EmailTemplate.objects.filter(mine, organization=organization)


def sms_templates_for(caller: Caller) -> QuerySet[SmsTemplate]:
    """The templates of text messages, by name: all members use all of them."""
    return SmsTemplate.objects.filter(organization=caller.organization).order_by("name", "id")


@transaction.atomic
def create_email_template(*, caller: Caller, properties: Properties) -> EmailTemplate:
    """A new template of the caller's. `FieldErrors` with all that is wrong, line and column of the source included."""
    template = EmailTemplate(organization=caller.organization, created_by=caller.user, updated_by=caller.user)
    _apply(template, {"name": None, "subject": None, "body": None, **properties}, _EMAIL_READERS)
    template.save(force_insert=True)
    template.refresh_from_db()
    return template


@transaction.atomic
def update_email_template(*, caller: Caller, template_id: UUID | None, properties: Properties) -> EmailTemplate:
    """Set the given properties. `NotFound`, `FieldErrors`; `Forbidden` for somebody else's template.

    `Invalid` for taking back from the others what a sequence uses.
    """
    template = _own(caller, template_id)
    was_shared = template.is_shared
    _apply(template, properties, _EMAIL_READERS)
    if was_shared and not template.is_shared and (users := sequences_of([template.pk])[template.pk]):
        raise Invalid([f"The template must stay shared: the sequence '{users[0].name}' uses it."])
    template.updated_by = caller.user
    template.date_updated = Now()
    template.save()
    template.refresh_from_db()
    return template


@transaction.atomic
def delete_email_template(*, caller: Caller, template_id: UUID | None) -> None:
    """Delete a template. `Invalid` for one that a sequence uses, `NotFound`, `Forbidden`."""
    template = _own(caller, template_id)
    if users := sequences_of([template.pk])[template.pk]:
        raise Invalid([f"The template cannot be deleted: the sequence '{users[0].name}' uses it."])
    template.delete()


def sequences_of(template_ids: Sequence[UUID]) -> dict[UUID, list[MailSequence]]:
    """The sequences that use each of these email templates, by name. One query."""
    found: dict[UUID, dict[UUID, MailSequence]] = {key: {} for key in template_ids}
    steps = SequenceStep.objects.filter(email_template__in=template_ids)
    for step in steps.select_related("sequence").order_by("sequence__name", "sequence_id"):
        found[step.email_template_id][step.sequence_id] = step.sequence
    return {key: list(sequences.values()) for key, sequences in found.items()}


def note_use(template_ids: Sequence[UUID]) -> None:
    """Remember that mails were made from these templates just now."""
    EmailTemplate.objects.filter(pk__in=template_ids).update(last_used_at=Now())


@transaction.atomic
def create_sms_template(*, caller: Caller, properties: Properties) -> SmsTemplate:
    """A new template of a text message. `FieldErrors`."""
    template = SmsTemplate(organization=caller.organization, created_by=caller.user, updated_by=caller.user)
    _apply(template, {"name": None, "text": None, **properties}, _SMS_READERS)
    template.save(force_insert=True)
    template.refresh_from_db()
    return template


@transaction.atomic
def update_sms_template(*, caller: Caller, template_id: UUID | None, properties: Properties) -> SmsTemplate:
    """Set the given properties. `NotFound`, `FieldErrors`."""
    template = _locked(sms_templates_for(caller), template_id)
    _apply(template, properties, _SMS_READERS)
    template.updated_by = caller.user
    template.date_updated = Now()
    template.save()
    template.refresh_from_db()
    return template


@transaction.atomic
def delete_sms_template(*, caller: Caller, template_id: UUID | None) -> None:
    """Delete a template. `Invalid` for one that a sequence uses, `NotFound`."""
    template = _locked(sms_templates_for(caller), template_id)
    if step := template.steps.select_related("sequence").first():
        raise Invalid([f"The template cannot be deleted: the sequence '{step.sequence.name}' uses it."])
    template.delete()


def _own(caller: Caller, template_id: UUID | None) -> EmailTemplate:
    """The template, locked, if the caller may change it: who made it and admins may."""
    template = _locked(email_templates_for(caller), template_id)
    if template.created_by_id != caller.user.pk and caller.membership.role != Role.ADMIN:
        raise Forbidden("Only who made this template and admins may change it.")
    return template


def _locked(templates: QuerySet[Model], template_id: UUID | None) -> Model:
    # FOR UPDATE: a step that is about to refer to it holds it (FOR KEY SHARE), and one of the two sees the other.
    template = templates.select_for_update(of=("self",)).filter(pk=template_id).first()
    if template is None:
        raise NotFound
    return template


# --- properties -------------------------------------------------------------------------------------------------------
def _apply(template: Model, properties: Properties, readers: Mapping[str, Callable[[object], object]]) -> None:
    problems: dict[str, object] = {}
    for name, read in readers.items():
        if name in properties:
            try:
                setattr(template, name, read(properties[name]))
            except FieldErrors as problem:
                problems |= problem.field_errors
    if not problems and "body" in properties:
        try:
            template.text = text_of_template(template.body)
        except WrongSource as problem:
            problems["body"] = str(problem)
    if problems:
        raise FieldErrors(problems)


def _name(value: object) -> str:
    name = clean_name("" if value is None else value, path="name", limit=LONGEST_NAME)
    if has_controls(name):
        raise FieldErrors({"name": "Value must be one line without control characters."})
    return name


def _subject(value: object) -> str:
    subject = _required(value, "subject", LONGEST_SUBJECT)
    if has_controls(subject):
        raise FieldErrors({"subject": "Value must be one line without control characters."})
    check_source(subject, html=False, path="subject")
    return subject


def _body(value: object) -> str:
    body = _required(value, "body", MAX_SOURCE)
    check_source(body, html=True, path="body")
    return body


def _message(value: object) -> str:
    text = _required(value, "text", LONGEST_MESSAGE)
    check_source(text, html=False, path="text")
    return text


def _required(value: object, path: str, limit: int) -> str:
    if value is None:
        raise FieldErrors({path: "This field is required."})
    return clean_text(value, path=path, limit=limit)


def _flag(name: str) -> Callable[[object], bool]:
    def read(value: object) -> bool:
        if value is not None and not isinstance(value, bool):
            raise FieldErrors({name: "Value must be true or false."})
        return value is True

    return read


def _choice(name: str, choices: Sequence[str]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value is None:
            return choices[0]
        if not isinstance(value, str) or value not in choices:
            raise FieldErrors({name: f"Not a valid choice. One of: {', '.join(choices)}."})
        return value

    return read


def _copies(name: str) -> Callable[[object], list[str]]:
    def read(value: object) -> list[str]:
        return clean_addresses([] if value is None else value, path=name)

    return read


_EMAIL_READERS: Mapping[str, Callable[[object], object]] = {
    "name": _name,
    "subject": _subject,
    "body": _body,
    "undefined": _choice("undefined", Undefined.values),
    "cc": _copies("cc"),
    "bcc": _copies("bcc"),
    "attachments": clean_attachments,
    "is_shared": _flag("is_shared"),
    "is_archived": _flag("is_archived"),
}
_SMS_READERS: Mapping[str, Callable[[object], object]] = {
    "name": _name,
    "text": _message,
    "status": _choice("status", SmsTemplate.Status.values),
}

"""Mails out of templates, for one contact or for thousands (docs/templates.md)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from crm.errors import FieldErrors
from crm.mail.addresses import has_controls
from crm.mail.contexts import Context, addressed, contexts_of
from crm.mail.liquid import CannotRender, WrongSource, check, compiled, rendered
from crm.mail.plain_text import tidy
from crm.models import EmailTemplate, Organization, Undefined, User

LONGEST_SUBJECT = 1_000  # characters, rendered


@dataclass(frozen=True)
class Recipient:
    """Somebody to write to. `address` is what `contact.email` says; None: the contact's first one.

    `source_id`: what asks for the mail, as the outbox will have it; `unsubscribe_link` names it.
    """

    contact_id: UUID
    address: str | None = None
    source_id: UUID | None = None


@dataclass(frozen=True)
class Rendered:
    """A mail's three texts. The subject is one line without controls."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class TemplateProblem:
    """Why no mail can be made for somebody.

    `code`: contact_gone, missing_value (policy `error`), invalid_subject, template_limit, template_error.
    """

    code: str
    message: str


def render(
    template: EmailTemplate, people: Sequence[Recipient], *, user: User | None, organization: Organization
) -> Iterator[Rendered | TemplateProblem]:
    """The mail to each of `people`, in their order, as `user` would write it: a fixed number of queries now, and each
    mail when it is asked for."""
    contexts = contexts_of([one.contact_id for one in people], user=user, organization=organization)
    return (_to_one(template, contexts.get(one.contact_id), one, organization) for one in people)


def render_context(template: EmailTemplate, context: Context) -> Rendered | TemplateProblem:
    """The mail for what `context` holds."""
    strict = template.undefined == Undefined.ERROR
    texts = {}
    for part in ("subject", "body", "text"):
        try:
            source = compiled(getattr(template, part), html=part == "body", strict=strict)
            texts[part] = rendered(source, context)
        except CannotRender as problem:
            return TemplateProblem(problem.code, f"{part}: {problem}")
        except WrongSource as problem:  # of a template that was saved under older rules
            return TemplateProblem("template_error", f"{part}: {problem}")
    subject = texts["subject"].strip(" ")
    if has_controls(subject):
        message = "subject: A value brings a line break or another control character into the subject."
        return TemplateProblem("invalid_subject", message)
    if len(subject) > LONGEST_SUBJECT:
        return TemplateProblem("invalid_subject", f"subject: It becomes longer than {LONGEST_SUBJECT} characters.")
    return Rendered(subject, texts["body"], tidy(texts["text"]))


def check_source(source: str, *, html: bool, path: str) -> None:
    """`FieldErrors` at `path`, with line and column, where `source` is no template."""
    try:
        check(source, html=html)
    except WrongSource as problem:
        raise FieldErrors({path: str(problem)}) from problem


def _to_one(
    template: EmailTemplate, context: Context | None, one: Recipient, organization: Organization
) -> Rendered | TemplateProblem:
    if context is None:
        return TemplateProblem("contact_gone", "The contact is not there any more.")
    return render_context(template, addressed(context, one.address, organization=organization, source_id=one.source_id))

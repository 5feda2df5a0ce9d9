"""The mail that tells a person how their bulk action ended."""

from django.conf import settings
from django.db.models import Count

from bulk_actions.actions import EXPORTING, MAILING, SUBSCRIBING, describe
from bulk_actions.export_files import finished_file, link_to
from bulk_actions.models import OVER_DEALS, BulkAction, LeadOutcome
from bulk_actions.states import Status
from crm.mail.outbox import reserve_notice


def reserve_mail(action: BulkAction) -> None:
    """Reserve the done or error mail of an ended job, in the transaction at hand. An error is always told."""
    told_anyway = action.status == Status.ERROR and action.error_code != "cancelled"
    if not action.send_done_email and not told_anyway:
        return
    reserve_notice(
        organization=action.organization,
        to=action.created_by,
        source_id=action.pk,
        step="ended",
        subject=f"{_headline(action)}: {describe(action)}",
        body_text=_body(action),
    )


def _headline(action: BulkAction) -> str:
    if action.status == Status.DONE:
        return "Done"
    return "Cancelled" if action.error_code == "cancelled" else "Failed"


def _body(action: BulkAction) -> str:
    if action.kind in EXPORTING:
        return _body_of_export(action)
    lines = [
        f"Your bulk action has ended: {_headline(action).lower()}.",
        "",
        f"What:       {describe(action)}",
        f"{_targets(action) + ':':11} {_number(action.n_leads)}",
        *_counts(action),
    ]
    counts = (action.n_succeeded, action.n_unchanged, action.n_skipped, action.n_failed, action.n_unknown)
    left = (action.n_objects or 0) - sum(n or 0 for n in counts)
    if left:
        lines.append(f"Not tried:  {_number(left)}")
    if action.n_repeated:
        lines.append(f"Repeated:   {_number(action.n_repeated)} are about what an earlier row is about as well")
    if action.date_started and action.date_finished:
        lines.append(f"Duration:   {(action.date_finished - action.date_started).total_seconds():,.1f} s")
    if action.error_message:
        lines.append(f"Reason:     {action.error_message}")
    reasons = (
        LeadOutcome.objects.filter(action=action.pk).values("outcome", "code").annotate(n=Count("pk")).order_by("-n")
    )
    if reasons:
        objects = "subscriptions" if action.kind in SUBSCRIBING else _targets(action).lower()
        what = "mails were not made" if action.kind in MAILING else f"{objects} were skipped or failed"
        lines += ["", f"Why {what}:"]
        lines += [f"  {row['outcome']}: {row['code']}: {_number(row['n'])}" for row in reasons]
    lines += ["", f"Id:         {action.api_id}"]
    if action.kind not in OVER_DEALS:  # which Close's API does not serve
        lines.append(f"API:        {settings.PUBLIC_URL}/api/v1/bulk_action/{action.kind}/{action.api_id}/")
    if action.created_by.is_staff:
        lines.append(f"Admin:      {settings.PUBLIC_URL}/admin/bulk_actions/bulkaction/{action.pk}/change/")
    return "\n".join(lines) + "\n"


def _targets(action: BulkAction) -> str:
    return {"opportunity": "Deals", "contact": "Contacts", "row": "Rows"}.get(action.target, "Leads")


def _body_of_export(action: BulkAction) -> str:
    address = f"{settings.PUBLIC_URL}/api/v1/export/{action.api_id}/"
    lines = [
        f"Your export has ended: {_headline(action).lower()}.",
        "",
        f"What:       {describe(action)}",
    ]
    file = finished_file(action)
    if file is not None:
        hours, days = settings.EXPORT_LINK_SECONDS // 3600, settings.EXPORT_FILE_DAYS
        lines += [
            f"Rows:       {_number(file.n_rows)}",
            f"File:       {link_to(action, file)}",
            "",
            f"The link is good for {hours} hours, and gives the file to whoever has it. The file is kept {days} days:",
            f"until then {address} gives new links.",
        ]
    if action.error_message:
        lines.append(f"Reason:     {action.error_message}")
    return "\n".join([*lines, "", f"Id:         {action.api_id}", f"API:        {address}"]) + "\n"


def _counts(action: BulkAction) -> list[str]:
    if action.kind in MAILING:
        return [
            f"Mails:      {_number(action.n_objects)}",
            f"Sent:       {_number(action.n_succeeded)}",
            f"Skipped:    {_number(action.n_skipped)}",
            f"Failed:     {_number(action.n_failed)}",
            f"Unknown:    {_number(action.n_unknown)}",
        ]
    objects = [f"Contacts:   {_number(action.n_objects)}"] if action.kind in SUBSCRIBING else []
    return [
        *objects,
        f"Changed:    {_number(action.n_succeeded)}",
        f"Unchanged:  {_number(action.n_unchanged)}",
        f"Skipped:    {_number(action.n_skipped)}",
        f"Failed:     {_number(action.n_failed)}",
    ]


def _number(value: int | None) -> str:
    return "not counted" if value is None else f"{value:,}"

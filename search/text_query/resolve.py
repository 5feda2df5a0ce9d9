"""One-line queries, fixed for the one who sends them: ready to run, or to be kept by a job."""

from dataclasses import replace
from datetime import datetime, tzinfo

from crm.auth import Caller
from crm.errors import FieldErrors, Invalid
from crm.text import clean_text
from search.nodes import And, Slice
from search.resolve import Resolved, resolve
from search.text_query.syntax import MAX_CHARACTERS
from search.text_query.translate import Translation, translate
from search.text_query.vocabulary import vocabulary_of


def resolve_text(
    text: object,
    *,
    caller: Caller,
    tz: tzinfo,
    now: datetime,
    object_type: str = "lead",
    for_bulk: bool = False,
    sort: object = None,
    results_limit: object = None,
    path: str = "query",
) -> tuple[Translation, Resolved]:
    """What `text` says, and what that means to `caller` at `now`. Raises `Invalid`, what is wrong with it at `path`.

    `sort` is as beside a query, for a text without a sort of its own.
    """
    written = clean_text(text, path=path, limit=MAX_CHARACTERS)
    try:
        found = translate(
            written,
            vocabulary=vocabulary_of(caller.organization.pk),
            tz=tz,
            object_type=object_type,
            for_bulk=for_bulk,
        )
    except Invalid as problem:
        raise FieldErrors({path: problem.field_errors["query"]}) from problem
    if found.sort and sort:
        raise FieldErrors({"sort": f"The text in `{path}` has a sort of its own."})
    resolved = resolve(
        query=found.s_query,
        sort=found.sort or sort,
        results_limit=results_limit,
        caller=caller,
        tz=tz,
        now=now,
        path=path,
        for_bulk=for_bulk,
    )
    if found.slice is not None:
        resolved = replace(resolved, node=And((resolved.node, Slice(*found.slice))))
    return found, resolved

"""Import: rows of data merged into leads (`crm.merging`), and taken back.

What a merge did to each lead stands in the ledger as the lead's `before`:

    {"created": true, "contacts": 1, "noted": when}               the lead was made, with all that it came with
                                                                  ("at": when it was last written to, if later)
    {"created": false, "contacts": 0, "noted": when, "changes": [{"table", "id", "before", "after"}],
     "made": [{"table": "contact", "id"}, {"table", "id", "after"}]}

`changes` are those of `crm.merging.Change`; `made` are contacts, and addresses, numbers and URLs of leads and contacts,
that were added. `contacts` is how many contacts it added. What a contact holds is not kept: one that was written to
after the moment `noted` has been changed by somebody else.
"""

from collections.abc import Sequence

from bulk_actions import file_imports, merge_undoing
from bulk_actions.actions.base import Written
from bulk_actions.models import BulkAction, Kind
from crm.errors import Invalid
from crm.models import Permission


class Import:
    """`params`: `{"source": where the rows came from, "rows": how many, "failed": how many of them failed}`; of an
    undo `{"force"}`. A call that brings a few rows is carried out at once (`bulk_actions.merges`).

    Of a file (`bulk_actions.file_imports`): `{"upload_id", "file": its name, "records": leads or contacts, "mapping":
    each column by its name (`crm.import_fields.Mapped`), "match": keys in order, "match_field_id", "on_duplicate",
    "dry_run", "encoding", "sheet", "raw"}`; of BlueAI also `"required"`.
    """

    kind = Kind.IMPORT
    permission = Permission.IMPORT
    max_leads = None

    def describe(self, action: BulkAction) -> str:
        if not action.is_of_file:
            n_rows = action.params["rows"]
            return f"Import {n_rows:,} row{'' if n_rows == 1 else 's'}"
        how = "Try the import of" if action.params["dry_run"] else "Import"
        return f"{how} {action.params['records']} from {action.params['file']}"

    def undo_params(self, action: BulkAction, *, force: bool) -> dict[str, object]:
        if action.undo_of_id is not None:
            raise Invalid(["The undo of an import cannot be undone: send the rows again."])
        if action.params.get("dry_run"):
            raise Invalid(["This was a dry run: there is nothing to undo."])
        if action.params.get("records") == "contacts":
            return {"force": force, "records": "contacts"}
        return {"force": force}

    def written(self, action: BulkAction) -> Written | None:
        return Written("'null'::jsonb")  # both sides of each change stand in `before`

    def apply(self, action: BulkAction, batch_ids: Sequence[int]) -> int | None:
        """Merge rows of a file, or take back what the merge did to each lead, where the lead still holds what it wrote
        (with `force` always)."""
        if action.is_of_file:
            return file_imports.apply_rows(action, batch_ids)
        merge_undoing.take_back(action, batch_ids)
        return None

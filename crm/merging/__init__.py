"""Finding records that are there already, and merging rows of data into them or making new ones (gomega-api.md 6, 7).

One way for all who bring many rows: the single and the bulk create of gomega, the imports of contacts and of files.
`merge_rows` is the door; `rows.py` says what goes in and comes out. docs/merging.md tells the rules.
"""

from crm.merging.lookup import keys_of
from crm.merging.merge import LARGEST_CALL, merge_rows
from crm.merging.rows import Change, Key, Merged, OnDuplicate, Outcome, Reach, Row, RowResult, Rules, Subject

__all__ = [
    "LARGEST_CALL",
    "Change",
    "Key",
    "Merged",
    "OnDuplicate",
    "Outcome",
    "Reach",
    "Row",
    "RowResult",
    "Rules",
    "Subject",
    "keys_of",
    "merge_rows",
]

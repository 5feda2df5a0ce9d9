"""Deleting a lead the way BlueAI deletes a company: its contacts and deals stay, without a company.

`detached_from` remembers where they belonged, so that a lead that comes back gets those that nobody has moved since.
These are CTEs beside a statement that marks leads as deleted, or brings them back, and returns them as `changed`
(lead_id).
"""

_TABLES = ("crm_contact", "crm_opportunity")

DETACH = {
    f"detached_{table}": f"""
        UPDATE {table} SET lead_id = NULL, detached_from = lead_id, date_updated = statement_timestamp()
        WHERE lead_id IN (SELECT lead_id FROM changed)"""
    for table in _TABLES
}
ATTACH = {
    f"attached_{table}": f"""
        UPDATE {table} SET lead_id = detached_from, detached_from = NULL, date_updated = statement_timestamp()
        WHERE detached_from IN (SELECT lead_id FROM changed) AND lead_id IS NULL"""
    for table in _TABLES
}

"""Tables in files: CSV, XLSX and JSON, read and written as streams. Knows nothing of leads or jobs.

Reading begins in `opening.open_table`, writing in `writing.write_table`.
"""

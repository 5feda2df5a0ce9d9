"""The import and the export of the demo: a file of invented leads goes in, all leads come out."""

import csv
import gzip
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import urlopen

from config.demo.api import Crm, Json
from config.demo.errors import expect
from config.demo.screen import Screen
from crm import demo_words as words

Word = TypeVar("Word", str, str | None)

ROWS = 10_000
BAD_EVERY = 500  # one row in so many has an address that is none
AGAIN_EVERY = 200  # one row in so many has the address of a row before it
FILE_SECONDS = 120
COLUMNS = ("Company", "Website", "Contact", "Title", "Email", "Phone")
OUTCOMES = ("created", "updated", "skipped", "failed")


def write_csv(path: Path) -> set[str]:
    """The file that is imported, the same each time; returns the addresses in it that are good."""
    path.parent.mkdir(parents=True, exist_ok=True)
    addresses = set()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(1, ROWS + 1):
            row = _row(number)
            addresses |= {row[4]} if "@" in row[4] else set()
            writer.writerow(row)
    return addresses


def import_file(crm: Crm, screen: Screen, path: Path) -> Json:
    """Import the file, rows known again by their address; hold the leads against what is told of its rows."""
    screen.title(f"5. Import: {ROWS:,} rows of {path.name}, matched by email")
    n_before, started = crm.count(), time.monotonic()
    upload = crm.upload(path)
    job = crm.call(
        "post", "bulk_action/import", {"upload_id": upload["id"], "match": ["email"], "on_duplicate": "update"}
    )
    with screen.progress("import", unit="rows") as progress:
        progress.show(job)
        job = crm.follow(f"bulk_action/import/{job['id']}", FILE_SECONDS, progress.show)
    expect(job["status"] == "done", f"The import ended as {job['status']}: {job.get('error_message')}.")
    rows, n_bad = job["rows"], ROWS // BAD_EVERY
    expect(
        sum(rows[outcome] for outcome in OUTCOMES) == job["n_leads"] == ROWS,
        f"The rows do not add up: {rows} of {job['n_leads']}, and the file has {ROWS}.",
    )
    expect(rows["failed"] == n_bad, f"{rows['failed']} rows failed, where {n_bad} have a bad address.")
    n_new = crm.count() - n_before
    expect(rows["created"] == n_new, f"The import counts {rows['created']} new leads, there are {n_new} more.")
    screen.say("  " + ", ".join(f"{rows[outcome]:,} {outcome}" for outcome in OUTCOMES))
    for problem in job["problems"]:
        first = problem["first"][0]
        told = f'{first["column"]} "{first["value"]}": {first["message"]}'
        screen.say(f"  {problem['n_rows']:,} x {problem['code']}, the first one in line {first['line']}: {told}")
    return {"id": job["id"], "rows": ROWS, **rows, "seconds": round(time.monotonic() - started, 1)}


def export_leads(crm: Crm, screen: Screen, url: str, path: Path, addresses: set[str]) -> Json:
    """Export all leads, fetch the file into `path`, and look for the leads that were imported in it."""
    n_leads = crm.count()
    screen.title(f"6. Export: {n_leads:,} leads as CSV")
    started = time.monotonic()
    job = crm.call("post", "export/lead", {"format": "csv", "type": "leads"})
    with screen.progress("export") as progress:
        progress.show(job)
        job = crm.follow(f"export/{job['id']}", FILE_SECONDS, progress.show)
    expect(job["status"] == "done", f"The export ended as {job['status']}: {job['error']}.")
    content = _fetched(url, job["download_url"])
    path.write_bytes(content)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    expect(len(rows) == n_leads == job["n_docs"], f"The file has {len(rows)} rows for {n_leads} leads.")
    n_missing = len(addresses - {row["contact_email"] for row in rows})
    expect(n_missing == 0, f"{n_missing} leads that were imported are not in the file.")
    screen.say(f"  {len(rows):,} rows, {len(content):,} bytes: {path}")
    return {"id": job["id"], "rows": len(rows), "bytes": len(content), "seconds": round(time.monotonic() - started, 1)}


def _row(number: int) -> Sequence[str]:
    if number % AGAIN_EVERY == 0:
        number -= AGAIN_EVERY // 2
    first, second = _pick(words.COMPANY_FIRST, number), _pick(words.COMPANY_SECOND, number // len(words.COMPANY_FIRST))
    company = f"{_pick(words.COMPANY_JAPANESE, number)} {number}" if number % 7 == 0 else f"{first} {second} {number}"
    given, family = _pick(words.FIRST_NAMES, number), _pick(words.LAST_NAMES, number // len(words.FIRST_NAMES))
    domain = f"{first}{second}{number}.example".lower()
    is_bad = number % BAD_EVERY == BAD_EVERY - 1
    email = f"{given} at {domain}" if is_bad else f"{given}.{family}@{domain}".lower()
    phone = f"+1 {_pick(words.AREA_CODES, number)} 555 01{number % 100:02}"
    return company, f"https://{domain}", f"{given} {family}", _pick(words.TITLES, number) or "", email, phone


def _pick(options: Sequence[Word], number: int) -> Word:
    return options[number % len(options)]


def _fetched(url: str, link: str) -> bytes:
    """What a link to a file leads to on the stack at `url`: mailed links lead to where it is served later."""
    address = urlsplit(link)
    with urlopen(f"{url}{address.path}?{address.query}", timeout=FILE_SECONDS) as answer:
        content = answer.read()
    return gzip.decompress(content) if answer.headers["Content-Encoding"] == "gzip" else content

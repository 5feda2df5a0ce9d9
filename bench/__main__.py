"""`python -m bench [--leads N ...] [--repeats N] [--quick] [--write-docs]`: measure the engine against its peers.

Starts stacks of its own in a temporary home; with `DATABASE_URL` it works in that database, which must be empty.
"""

import argparse
import sys

from bench import docs, report
from bench.engine import JobFailed
from bench.files import FEW, QUICK_FEW, QUICK_ROWS, ROWS
from bench.mails import MAILS, QUICK_MAILS
from bench.measure import Plan, measure, progress
from bench.stack import temporary_home
from bench.world import NotOurs
from config.demo.errors import DemoFailed

SIZES, PEER_LEADS, INDEX_LEADS = [10_000, 30_000, 100_000, 300_000, 1_000_000], 3_000, 100_000
QUICK_SIZES, QUICK_PEER_LEADS, QUICK_INDEX_LEADS = [5_000, 20_000], 300, 20_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--leads", type=int, nargs="+", help=f"sizes to measure (default: {SIZES})")
    parser.add_argument("--repeats", type=int, help="of each measurement; the median counts (default: 3)")
    parser.add_argument("--quick", action="store_true", help="few leads, once: to see that it works")
    parser.add_argument("--write-docs", action="store_true", help="write tables and plots into docs/performance.md")
    options = parser.parse_args()
    sizes = sorted(options.leads or (QUICK_SIZES if options.quick else SIZES))
    plan = Plan(
        sizes=sizes,
        repeats=options.repeats or (1 if options.quick else 3),
        peer_leads=min(QUICK_PEER_LEADS if options.quick else PEER_LEADS, sizes[0]),
        index_leads=min(QUICK_INDEX_LEADS if options.quick else INDEX_LEADS, sizes[-1]),
        mails=QUICK_MAILS if options.quick else MAILS,
        file_rows=QUICK_ROWS if options.quick else ROWS,
        few_file_rows=QUICK_FEW if options.quick else FEW,
    )
    try:
        with temporary_home() as home:
            found = measure(home, plan)
    except (DemoFailed, NotOurs, JobFailed) as problem:
        print(f"The benchmark failed: {problem}", file=sys.stderr)  # noqa: T201
        return 1
    report.show(found)
    progress.print(f"all numbers: {found.save()}")
    if options.write_docs:
        docs.write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What can be wrong with a bulk action, apart from what is wrong with a request (`crm.errors`)."""

from crm.errors import Invalid


class JobImpossible(Exception):
    """The job can never be finished: it ends as `error` with this code; what is done stays done."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class LedgerPurged(JobImpossible, Invalid):
    """What became of each lead of a job is no longer known. Refuses a request, and ends a job that needs to know it."""

    def __init__(self) -> None:
        self.code = "ledger_purged"
        self.message = "ledger_purged: what became of each lead of this job is no longer known, only the counts are."
        Invalid.__init__(self, [self.message])

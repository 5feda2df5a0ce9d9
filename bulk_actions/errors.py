"""What can be wrong with a bulk action, apart from what is wrong with a request (`crm.errors`)."""


class JobImpossible(Exception):
    """The job can never be finished: it ends as `error` with this code; what is done stays done."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

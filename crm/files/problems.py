"""What can be wrong with a file as a whole. What is wrong with one row is a `RowProblem` and ends nothing."""

from crm.errors import Invalid


class FileProblem(Invalid):
    """The file cannot be read, or not from here on. `code` is for programs and never changes, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__([message])
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class UndecodableByte(FileProblem):
    """The byte at `offset` (from 0 on, of the file) is not `encoding`."""

    def __init__(self, encoding: str, offset: int) -> None:
        super().__init__("unknown_encoding", f"The file is not {encoding}: see byte {offset}.")
        self.encoding = encoding
        self.offset = offset

"""The garbage collector of Python, kept from work that makes many records at once."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without collections until the end of the block, for this whole process.

    They would walk through the thousands of records that are at work again and again, and find nothing: a fifth of the
    time of an import, a third of that of an export of objects. Higher thresholds saved none of it. What the block has
    let go of in circles is freed behind it, so it is to be a piece of the work, not all. Where several threads are in
    such blocks at once, the first to leave one brings collections back for all: with a count of those that are still in
    one, there might be none for ever.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

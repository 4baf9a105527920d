"""Delay signals until a step is done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and the signal of batch systems before they kill a job


@contextlib.contextmanager
def postponed() -> Iterator[list[int]]:
    """In this context, a first Ctrl-C or SIGTERM is only noted in the yielded list; a second raises KeyboardInterrupt.

    Afterwards the previous handlers are restored. Only the main thread receives signals. In other threads, and if
    signals are ignored, nothing changes.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        if len(noted) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number, handler in before.items() if handler not in (None, signal.SIG_IGN)]
    try:
        for number in taken:
            signal.signal(number, note)
        yield noted
    finally:
        for number in taken:
            signal.signal(number, before[number])

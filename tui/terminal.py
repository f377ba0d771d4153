"""Whether the terminal that the screen is on is still there."""

from __future__ import annotations

import select
import sys


class Terminal:
    """Standard input, where that is a terminal: a window that was closed, a line that was cut.

    The kernel says so by SIGHUP as well, which a parent may have had ignored (nohup); without this the screen would
    then read the end of its input for ever.
    """

    def __init__(self) -> None:
        self._poll: select.poll | None = None
        stdin = sys.__stdin__
        if stdin is not None and not stdin.closed and stdin.isatty() and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(stdin.fileno(), select.POLLHUP)

    @property
    def gone(self) -> bool:
        return self._poll is not None and bool(self._poll.poll(0))

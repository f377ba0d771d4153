"""How far the clock of another node is from the one here."""

from __future__ import annotations

from typing import NamedTuple


class Clock(NamedTuple):
    """``ahead``: seconds that it is ahead of the one here, known to ``within`` so many (None: not measured)."""

    ahead: float = 0.0
    within: float | None = None

    def told(self) -> str:
        """In words, for the user."""
        if self.within is None:
            return "its clock is taken to be right"
        if not self.ahead:
            return f"its clock agrees (within {1e3 * self.within:.3g} ms)"
        way = "ahead" if self.ahead > 0 else "behind"
        return f"its clock is {abs(self.ahead):.3g} s {way} (within {1e3 * self.within:.3g} ms)"


def measured(sent: float, there: float, came: float) -> Clock:
    """By one round trip: asked at ``sent``, answered ``there`` on its own clock, the answer ``came``; seconds.

    Its clock stood at ``there`` somewhere between the two, so half the way is the best guess and wrong by no more than
    half (Cristian, Probabilistic clock synchronization, 1989). A difference below that is none.
    """
    within = max(came - sent, 0.0) / 2
    ahead = there - (sent + came) / 2
    return Clock(ahead if abs(ahead) > within else 0.0, within)

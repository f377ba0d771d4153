"""Which steps are sampled: as many as the overhead budget allows."""

from __future__ import annotations

import math

from .bill import Bill

DENSE = 20
"""First steps of a segment, all sampled: a learning rate that is too high kills before step 10. What they cost is paid
once, in no run of length a share worth telling: neither ``cost`` nor the budget counts them."""
SETTLE = 8
"""Interval until there are enough steps of both kinds to compare."""
SHORTEST = 2
"""With every step sampled there would be none to compare with."""
LONGEST = 256
"""Steps between samples at most: with fewer, rules that need them could not judge a short run of short steps. Where
the budget is smaller than ``USUAL``, in proportion more, rounded up to a power of two."""
USUAL = 0.01
"""The budget by default."""
LEAST = 0.25
"""Share of the budget that sampling may have even where the hooks alone take more: a step of a few hundred
microseconds is then watched over budget, and the cost says so."""
REPEATS = 0.1
"""Share of the budget that is for passes made again (``repeats.py``)."""
LONG = 1e-2
"""Seconds of a step from which on every step's model call is noted and a gradient looked at, for an autopsy."""
COMPARED = 3
"""Samples from one unsampled step that is measured to the next, once enough are known."""


class Sampler:
    """Decides from medians of real steps (`bill.py`): interval N = ceil(extra / (budget * step - hooks)), rounded up to
    a power of two; sampled are its multiples. So ranks that chose different intervals share the steps of the longest,
    without a word between them. Where several optimizers step in turn, half of the multiples are put off by a step:
    those of a GAN's generator would otherwise be the only ones that are ever sampled.

    ``budget`` is a share of the step's time, ``first`` the number of the step before the first.
    """

    def __init__(self, budget: float, first: int = 0) -> None:
        self.budget = budget
        self._dense = first + DENSE
        self._longest = LONGEST << max(math.ceil(math.log2(USUAL / budget)), 0) if budget > 0 else LONGEST
        self.every = 1
        self.cost: float | None = None
        """Share of the step that watching takes, None until it is measured."""
        self.bill = Bill()
        self.next = first + 1
        """The step that will be sampled next."""
        self.due = first + 1
        """The step after which ``ended`` is to be called next."""
        self._turn: int | None = None
        self._several = False
        """Do several optimizers step?"""
        self._compare = 0
        """Samples until an unsampled step is measured."""
        self._coming: bool | None = None
        """Is the coming step measured: as a sampled one, or not? None: it is not measured."""

    @property
    def seconds(self) -> float:
        """Time of a step that is not sampled, 0 until known."""
        return self.bill.seconds

    def ended(self, step: int, kind: int | None, hooks: float, disturbed: bool, turn: int = 0) -> bool:
        """Step ``step`` is over, which was sampled as ``kind`` says (None: not at all) and in which the hooks are known
        to have taken ``hooks`` seconds; is the next one to be sampled? ``disturbed`` steps (validation ran) are not
        measured; ``turn`` is the optimizer that made the step. When all is done that follows from it, ``resume`` is to
        be called.

        A sampled step is compared with one before a sampled one: the one after finds the caches cold, and takes a
        third longer where a step is short.
        """
        self.bill.ended(kind, hooks, disturbed, turn)
        self._several |= self._turn not in (None, turn)
        self._turn = turn
        if kind is not None:
            if step >= self._dense and not self._compare:
                self._choose()
            self.next = self._after(step)
            self._compare = self._compare - 1 if self._compare else COMPARED * self.bill.enough
        sampled = step + 1 >= self.next
        before = step + 2 >= self.next and not self._compare
        self._coming = True if sampled else False if before or not self.seconds else None
        self.due = step + 1 if self._coming is not None else self.next - (1 if self._compare else 2)
        return sampled

    def _after(self, step: int) -> int:
        """The first step after ``step`` that is sampled."""
        last = step - step % self.every
        off = [(at.bit_count() & 1 if self._several and self.every > 1 else 0) for at in (last, last + self.every)]
        return last + off[0] if last + off[0] > step else last + self.every + off[1]

    @property
    def ahead(self) -> bool:
        """Is nothing to be done before the next step that is sampled?"""
        return self._coming is None and self.due == self.next - 1

    def arm(self) -> None:
        """The coming step is the next one that is sampled; ``resume`` is to be called when all is ready for it."""
        self._coming = True
        self.due = self.next
        self.bill.pause()

    def resume(self) -> None:
        """The coming step begins."""
        self.bill.resume(self._coming)

    @property
    def measures(self) -> bool:
        """Is the coming step an unsampled one whose hooks are to be measured?"""
        return self._coming is False

    def _choose(self) -> None:
        bill = self.bill
        if not bill.enough:
            self.every = SETTLE
            return
        extra, step, hooks = bill.extra, max(bill.seconds, 1e-9), bill.hooks
        budget = (1 - REPEATS) * self.budget * step
        allowed = max(budget - hooks, LEAST * budget)
        least = min(max(math.ceil(extra / allowed), SHORTEST), self._longest)
        self.every = 1 << (least - 1).bit_length()
        self.cost = (hooks + extra / self.every) / step

"""The loss terms of scripts that have several, each by the line that calls it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from nnwatch.metric import Field

from .emit import Emitter, Schema
from .fetch import Fetch
from .loss import Term, Value
from .source import Place, caller, line_of

MOST = 16
"""Call sites told apart."""
PLACES = 64
"""Places that calls come from: several may lie on one line."""
DEEP = 12
"""Frames from a loss function to the user's line, at most, for a place to be known to the lane."""


class Terms:
    """One per segment. Sites are looked for on sampled steps and, once there are several, on all."""

    def __init__(self) -> None:
        self.sites: list[str] = []
        self.taken: dict[str, list[Value]] = {}
        """Values of the step that is being made, by site."""
        self.several = False
        """Steps learn from several, together or in turn; a second fit() elsewhere in the script makes none."""
        self.joint = False
        """Some backward pass was for several loss calls."""
        self._last: str | None = None
        self._places: dict[tuple[str, Place], str] = {}
        """Sites by the name of the function and the place."""

    def site(self, name: str) -> str | None:
        """``"mse_loss train.py:52"`` for the line of the user's that is calling a loss function; None without one."""
        frame, place = caller()
        if frame is None:
            return None
        found = self._places.get((name, place))
        if found is None:
            found = f"{name} {line_of(frame)}"
            if len(self._places) < PLACES and len(place[0]) <= DEEP:
                self._places[name, place] = found
        return found

    @property
    def known(self) -> dict[tuple[str, Place], int]:
        """The numbers of the sites by the name of the function and the place."""
        return {key: self.sites.index(site) for key, site in self._places.items() if site in self.sites}

    def schema(self, emit: Emitter) -> Schema:
        """Of a step's record."""
        return emit.schema("terms", (Field("loss.term", len(self.sites), emit.labels(self.sites)),))

    def take(self, terms: Sequence[Term]) -> None:
        """A backward pass has come to these."""
        self.joint |= len(terms) > 1
        for term in terms:
            if term.site is not None and term.value is not None:
                if term.site not in self.sites:
                    if len(self.sites) < MOST:
                        self.sites.append(term.site)
                elif term.site != self._last:
                    self.several = True
                self._last = term.site
                self.taken.setdefault(term.site, []).append(term.value)
        self.several |= len(self.taken) > 1

    def taken_in_lane(self, taken: Sequence[tuple[int, float]]) -> None:
        """The same of the passes of a step that has left the lane, sites by their numbers."""
        for site, value in taken:
            self.taken.setdefault(self.sites[site], []).append(value)

    def publish(self, emit: Emitter, fetch: Fetch, step: int, when: float) -> None:
        """One record for the step: of each site the mean over its calls, NaN where it had none."""
        values, self.taken = self.taken, {}
        if not self.several or not values:
            return
        schema = self.schema(emit)
        found = [values.get(name, []) for name in self.sites]
        if all(type(value) is float for calls in found for value in calls) and not fetch.waiting:
            emit.numbers(schema, step, when, *(sum(calls) / len(calls) if calls else np.nan for calls in found))  # type: ignore[arg-type]
            return
        counts = [len(calls) for calls in found]
        device = next((v.device for calls in found for v in calls if isinstance(v, torch.Tensor)), "cpu")
        flat = [torch.as_tensor(value, device=device).reshape(()).float() for calls in found for value in calls]

        def arrived(arrays: list[np.ndarray]) -> None:
            parts = np.split(arrays[0], np.cumsum(counts)[:-1])
            emit.numbers(schema, step, when, *(float(part.mean()) if len(part) else np.nan for part in parts))

        fetch([torch.stack(flat)], arrived)

"""Judges a history at fixed steps and keeps the findings: open, changed, resolved.

The verdict is a function of the frames alone. Boundaries depend on the step only, a boundary is judged when
nothing more can come for it, and rules see nothing behind it: however the frames were flushed, and however
often a monitor was restarted in between, the same findings come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnwatch.frame import End, Event, Finding, Frame, Judgement, Remedy, Segment
from nnwatch.history import History, Track

from .cause import Folded, Standing, confidence, fold
from .context import DENSE, Context
from .finding import Abstain
from .learning_rate import forbidden
from .opinion import LOUD, QUIET, Headline, Opinion, capped
from .rule import Rule, all_rules

SPACING = 0.025
"""Later boundaries lie this share of the step apart: 450 of them in a million steps."""


def next_boundary(step: int) -> int:
    """The regular boundary that follows ``step``, itself one; counted from the segment's first step."""
    return step + (1 if step < DENSE else max(1, int(step * SPACING)))


class _Judge:
    """One track: the boundaries that are done and the opinions that stand."""

    def __init__(self, track: Track, silent_until: int, rules: Sequence[Rule], targets: Mapping[str, float]) -> None:
        self.track = track
        self.silent_until = silent_until
        self.targets = targets
        self.done = self.regular = 0
        self.opinions = [Opinion(rule, 1 + track.segment.segment * len(rules) + i) for i, rule in enumerate(rules)]
        self.ids = {opinion.rule.id: opinion.id for opinion in self.opinions}
        self.phase = 0
        self.memo: dict[Any, Any] = {}
        self.nonfinite: int | None = None
        self.scanned = 0
        self.reasons: dict[str, str | None] = {}
        """Why each rule abstained at the last boundary; None of one that judged."""
        self.ended = False

    def judge(self, history: History) -> Iterator[Frame]:
        for step in self._boundaries(history):
            yield from self._at(history, step, None)
        if history.end is not None and not self.ended:
            self.ended = True
            unfinished = [e.step for e in history.events if e.name == "nonfinite" and self._mine(e)]
            yield from self._at(history, max([self.track.last_step, *unfinished]), history.end)

    def _boundaries(self, history: History) -> Iterator[int]:
        """Boundaries that became decidable: the regular ones, the first step that was not finite, and a step after
        which the training fell silent, at once: nothing more comes for it."""
        first, last = self.track.segment.first_step, self.track.last_step
        broken = self._first_nonfinite(history)
        silent = {e.step - first for e in history.events if e.name == "stalled" and self._mine(e)}
        special = sorted(silent | ({broken - first} if broken is not None else set()))
        while True:
            following = next_boundary(self.regular)
            step = next((s for s in special if self.done < s < following), following)
            if first + step > last or (first + step == last and step not in silent):
                return
            self.done = step
            if step == following:
                self.regular = following
            yield first + step

    def _mine(self, event: Event) -> bool:
        return (event.segment, event.rank) == (self.track.segment.segment, self.track.segment.rank)

    def _first_nonfinite(self, history: History) -> int | None:
        if self.nonfinite is None:
            steps = [e.step for e in history.events if e.name == "nonfinite" and self._mine(e)][:1]
            loss = self.track.get("loss.train")
            if loss is not None:
                bad = np.flatnonzero(~np.isfinite(loss.scalar[self.scanned :]))
                steps += [int(loss.steps[self.scanned + i]) for i in bad[:1]]
                self.scanned = len(loss)
            self.nonfinite = min(steps, default=None)
        return self.nonfinite

    def _at(self, history: History, step: int, end: End | None) -> Iterator[Frame]:
        at = self._context(history, step, end)
        if at.phase_start != self.phase:
            self.phase = at.phase_start
            for opinion in self.opinions:
                if opinion.level == QUIET:
                    opinion.votes.clear()
        reasons = self._ask(self.opinions, at)
        if end is not None:  # what only the end shows is a reason for others that wait for it
            at = self._context(history, step, end)
            reasons |= self._ask([opinion for opinion in self.opinions if opinion.rule.slow], at)
        frames: list[Frame] = list(self._say(at))
        before = self.reasons
        changed = {rule: why for rule, why in reasons.items() if rule not in before or why != before[rule]}
        if changed:
            self.reasons = reasons
            judged = [rule for rule, why in changed.items() if why is None]
            abstained = {rule: why for rule, why in changed.items() if why is not None}
            segment = self.track.segment
            frames.append(Judgement(step, segment.segment, segment.rank, judged, abstained))
        if step > self.silent_until:
            yield from frames

    def _context(self, history: History, step: int, end: End | None) -> Context:
        """The boundary, with what is open now."""
        opened = frozenset(o.rule.id for o in self.opinions if o.level > LOUD)
        return Context(history, self.track, step, end, opened, self.targets, self.memo)

    def _ask(self, opinions: Sequence[Opinion], at: Context) -> dict[str, str | None]:
        """Have some rules judge the boundary: why each abstained, None of one that judged."""
        reasons: dict[str, str | None] = {}
        for opinion in opinions:
            rule = opinion.rule
            at.open = opinion.level > LOUD
            try:
                if rule.slow and at.broken:
                    raise Abstain("the loss is no number any more: it has no trend")
                if rule.kind == "statistical" and at.searched:
                    raise Abstain("the learning rate is being searched for: this is no training")
                found = rule.check(at, rule.thresholds)
            except Abstain as reason:
                reasons[rule.id] = str(reason)
                continue
            except Exception as error:  # one broken rule must not silence the others
                reasons[rule.id] = f"the rule itself failed: {type(error).__name__}: {error}"
                continue
            reasons[rule.id] = None
            opinion.vote(found, capped(rule, found, at) if found else None, at.end is not None)
        return reasons

    def _say(self, at: Context) -> Iterator[Finding]:
        """New states of findings, causes before their consequences are known to be so."""
        open_now = {o.rule.id: now for o in self.opinions if o.level > QUIET and (now := o.standing)}
        folded = fold(open_now, at)
        for opinion in self.opinions:
            now = open_now.get(opinion.rule.id)
            headline = self._headline(opinion.rule, now, folded, at) if now else None
            news = headline != opinion.headline
            if news or (headline is not None and at.end is not None):
                state = self._state(opinion, headline, at)
                if news or opinion.said != state:
                    opinion.headline, opinion.said = headline, state
                    yield state

    def _headline(self, rule: Rule, now: Standing, folded: Folded, at: Context) -> Headline:
        cause = folded.explained.get(rule.id)
        return Headline(
            now.found.title or rule.title,
            folded.severity.get(rule.id, now.severity),
            rule.id == folded.primary,
            self.ids[cause] if cause else None,
            tuple(remedy.title for remedy in _allowed(now.found.remedies, at)),
        )

    def _state(self, opinion: Opinion, headline: Headline | None, at: Context) -> Finding:
        """What there is to say of a finding; that it is resolved, where it has no headline any more."""
        rule, found, told = opinion.rule, opinion.found, headline or opinion.headline
        assert found is not None
        assert told is not None
        return Finding(
            id=opinion.id,
            rule=rule.id,
            title=found.title or rule.title,
            kind=rule.kind,
            severity=told.severity,
            status="open" if headline else "resolved",
            first_step=opinion.since,
            last_step=at.step,
            first_time=_time(self.track, opinion.since),
            last_time=_time(self.track, at.step),
            what=found.what,
            why="; ".join(found.keys),
            segment=self.track.segment.segment,
            rank=self.track.segment.rank,
            layer=found.layer,
            primary=headline.primary if headline else False,
            explained_by=headline.explained_by if headline else None,
            evidence=list(found.evidence),
            remedies=_allowed(found.remedies, at),
            otherwise=found.otherwise,
            confidence=round(confidence(found), 2),
        )


def _allowed(remedies: Sequence[Remedy], at: Context) -> list[Remedy]:
    not_now = at.here("forbidden", lambda: forbidden(at))
    return [remedy for remedy in remedies if remedy.title not in not_now]


def _time(track: Track, step: int) -> float:
    """When a step was recorded; the start of the segment for one that was not."""
    series = track.get("loss.train") or track.get("lr")
    n = series.until(step) if series is not None else 0
    return float(series.times[n - 1]) if series is not None and n else track.segment.time


class Advisor:
    """Judges one session. Give it the history after each flush; apply and store the frames it returns.

    Rank 0 speaks for all ranks: the replicas of data-parallel training are equal. A new Advisor on a history
    that was judged before judges again in silence and goes on where the other stopped. ``rules`` are those that
    ship unless others are given; ``targets`` are the user's goals, a value per metric.
    """

    def __init__(self, rules: Sequence[Rule] | None = None, targets: Mapping[str, float] | None = None) -> None:
        self._rules = all_rules() if rules is None else rules
        self._targets = targets or {}
        self._judges: dict[int, _Judge] = {}

    def judge(self, history: History) -> list[Frame]:
        """Findings and judgements of every boundary that became decidable since the last call."""
        frames: list[Frame] = []
        tracks = [track for (_, rank), track in sorted(history.tracks.items()) if rank == 0]
        if not tracks and history.end is not None:
            tracks = [Track(Segment(0, 0, 0, history.end.time))]  # it ended before it trained
        for track in tracks:
            segment = track.segment.segment
            if segment not in self._judges:
                self._judges[segment] = _Judge(track, _judged_until(history, segment), self._rules, self._targets)
            frames.extend(self._judges[segment].judge(history))
        return frames


def _judged_until(history: History, segment: int) -> int:
    """The last step of a segment that the session already has a verdict on; below every step if none."""
    said = [f.last_step for f in history.finding_log if f.segment == segment]
    said += [j.step for j in history.judgements if j.segment == segment]
    return max(said, default=-1)

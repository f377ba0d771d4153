"""Judges a history at fixed steps and keeps the findings: open, changed, resolved.

The verdict is a function of the frames alone. Boundaries depend on the step only, a boundary is judged when
nothing more can come for it, and rules see nothing behind it: however the frames were flushed, and however
often a monitor was restarted in between, the same findings come out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnwatch.frame import SEVERITIES, End, Event, Finding, Frame, Judgement, Segment, Severity
from nnwatch.history import History, Track

from .cause import Standing, confidence, fold
from .context import DENSE, Context
from .finding import Abstain, Found, lower
from .learning_rate import forbidden
from .rule import Rule, all_rules

SPACING = 0.025
"""Later boundaries lie this share of the step apart: 450 of them in a million steps."""
QUIET = -1
LEVELS: dict[str | None, int] = {None: QUIET, **{severity: level for level, severity in enumerate(SEVERITIES)}}
LOUD = LEVELS["info"]
"""A finding is open, for the rules, above this level."""


def next_boundary(step: int) -> int:
    """The regular boundary that follows ``step``, itself one; counted from the segment's first step."""
    return step + (1 if step < DENSE else max(1, int(step * SPACING)))


class _Opinion:
    """What one rule thinks of one track, and what was last said about it."""

    def __init__(self, rule: Rule, number: int) -> None:
        self.rule = rule
        self.id = number
        self.votes: deque[int] = deque(maxlen=rule.votes[1])
        self.level = QUIET
        self.found: Found | None = None
        self.since = 0
        self.said: Finding | None = None

    def vote(self, found: Found | None, severity: Severity | None, final: bool) -> None:
        """Count one boundary: the level is the k-th highest of the last n, so one odd window changes nothing."""
        level = LEVELS[severity]
        self.votes.append(level)
        if level == self.level == QUIET and max(self.votes) == QUIET:
            return
        needed = self.rule.votes[0]
        ranked = sorted(self.votes, reverse=True)
        before, self.level = self.level, ranked[needed - 1] if len(ranked) >= needed else QUIET
        if found is not None and (found.exact or (final and self.rule.slow)):
            self.level = level
        if found is not None:
            self.found = found
            self.since = min(self.since, found.first_step) if before > QUIET else found.first_step


class _Judge:
    """One track: the boundaries that are done and the opinions that stand."""

    def __init__(self, track: Track, silent_until: int, rules: Sequence[Rule], targets: Mapping[str, float]) -> None:
        self.track = track
        self.silent_until = silent_until
        self.targets = targets
        self.done = self.regular = 0
        self.opinions = [_Opinion(rule, 1 + track.segment.segment * len(rules) + i) for i, rule in enumerate(rules)]
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

    def _ask(self, opinions: Sequence[_Opinion], at: Context) -> dict[str, str | None]:
        """Have some rules judge the boundary: why each abstained, None of one that judged."""
        reasons: dict[str, str | None] = {}
        for opinion in opinions:
            rule = opinion.rule
            at.open = opinion.level > LOUD
            try:
                if rule.slow and at.broken:
                    raise Abstain("the loss is no number any more: it has no trend")
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
        standing = {
            o.rule.id: Standing(o.found, SEVERITIES[o.level], o.since)
            for o in self.opinions
            if o.level > QUIET and o.found
        }
        primary, explained, worst = fold(standing, at)
        for opinion in self.opinions:
            rule = opinion.rule.id
            if opinion.level == QUIET:
                if opinion.said is not None and opinion.said.status == "open":
                    opinion.said = self._state(opinion, at, resolved=True)
                    yield opinion.said
                continue
            state = self._state(opinion, at)
            state.severity = worst.get(rule, state.severity)
            state.primary = rule == primary
            state.explained_by = self.ids[explained[rule]] if rule in explained else None
            if _changed(opinion.said, state) or (at.end is not None and opinion.said != state):
                opinion.said = state
                yield state

    def _state(self, opinion: _Opinion, at: Context, *, resolved: bool = False) -> Finding:
        rule, found, said = opinion.rule, opinion.found, opinion.said
        assert found is not None
        return Finding(
            id=opinion.id,
            rule=rule.id,
            title=found.title or rule.title,
            kind=rule.kind,
            severity=said.severity if resolved and said else SEVERITIES[opinion.level],
            status="resolved" if resolved else "open",
            first_step=opinion.since,
            last_step=at.step,
            first_time=_time(self.track, opinion.since),
            last_time=_time(self.track, at.step),
            what=found.what,
            why="; ".join(found.keys),
            segment=self.track.segment.segment,
            rank=self.track.segment.rank,
            layer=found.layer,
            evidence=list(found.evidence),
            remedies=[remedy for remedy in found.remedies if remedy.title not in forbidden(at)],
            otherwise=found.otherwise,
            confidence=round(confidence(found), 2),
        )


def capped(rule: Rule, found: Found, at: Context) -> Severity:
    """The severity that the number of keys and the context allow."""
    severity = found.severity
    if found.exact or rule.kind != "statistical":
        return severity
    unplanned = rule.slow and at.planned is None and at.end is None
    if len(found.keys) < 2 or unplanned or (rule.goal and at.no_goal):
        severity = lower(severity, "watch")
    return severity


def _changed(before: Finding | None, now: Finding) -> bool:
    """Whether a person would call it news. Numbers move at every boundary; that alone is none."""
    if before is None or before.status != now.status or before.severity != now.severity:
        return True
    advice = [[remedy.title for remedy in state.remedies] for state in (before, now)]
    return advice[0] != advice[1] or (before.title, before.primary, before.explained_by) != (
        now.title,
        now.primary,
        now.explained_by,
    )


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

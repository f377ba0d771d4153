"""What is looked at and how: the moment, the lens, the segment, one judgement or another. Makes the view of it."""

from __future__ import annotations

from nnwatch.advisor.verdict import Verdict, verdict
from nnwatch.history import History, Track

from .column import Columns
from .draw.raster import Symbols
from .feed import Feed
from .lens import Lens
from .moment import Moment, Timeline
from .segments import timeline_of, track_of
from .state import FROZEN, NOTHING_OPEN, REPLAY, State, state
from .view import View


class Presenter:
    """Whoever calls ``advance``, ``view`` or ``show_segment`` holds the feed's lock."""

    def __init__(self, feed: Feed, moment: Moment, symbols: Symbols, opened: bool) -> None:
        self.feed = feed
        self.moment = moment
        self.symbols = symbols
        self.opened = opened
        """Whether there is a run to look at; without one the list of runs is all there is."""
        self.lens = Lens()
        self.columns = Columns()
        self.second: tuple[str, History] | None = None
        """The threshold of another judgement of this run, and that judgement."""
        self.timeline = Timeline()
        self._verdict: tuple[object, Verdict] | None = None
        self._replaced = 0

    @property
    def history(self) -> History:
        return self.feed.history

    def advance(self, now: float) -> None:
        """Take in which steps there are, and let the time since the last call pass."""
        if self._replaced != self.history.replaced:  # detail has come for what was an overview
            self._replaced, self.columns = self.history.replaced, Columns()
        self.timeline = self._timeline()
        self._look()
        if self.feed.caught_up.is_set():  # the speed of a replay depends on how long the run is
            complete = self.history.end is not None or self.feed.source.lost is not None
            self.moment.advance(now, self.timeline, complete)

    def _look(self) -> None:
        """Tell a source that sent an overview which steps are looked at: it fetches their detail."""
        track, look = self._track(), getattr(self.feed.source, "look", None)
        if look is not None and track is not None and self.lens.span is not None:
            right = self.timeline.head if self.lens.right is None else self.lens.right
            look(track.segment.segment, track.segment.rank, int(right - self.lens.span), int(right))

    def _via(self) -> str:
        """How late a run is seen that another machine writes."""
        behind = getattr(self.feed.source, "behind", None)
        return "" if behind is None else f"via shared file, {behind:.0f} s behind"

    def stamp(self) -> object:
        """Equal where two views would be."""
        look = self.moment.step, self.moment.playing, self.moment.seen, self._via()
        return self.history.version, look, self.feed.source.lost, self.feed.caught_up.is_set()

    def show_segment(self, segment: int | None) -> bool:
        """Show a segment from its end on, the one before for None (the newest after the first); False where there is
        no such segment."""
        there = sorted({number for number, _ in self.history.tracks})
        if segment is None:
            track = self._track()
            earlier = [number for number in there if track is not None and number < track.segment.segment]
            segment = max(earlier, default=there[-1] if there else None)
        if len(there) < 2 or segment not in there:
            return False
        self.moment.segment = None if segment == there[-1] else segment
        self.timeline = self._timeline()
        self.moment.to_end(self.timeline)
        return True

    def _track(self) -> Track | None:
        """The lowest rank of the segment that is looked at."""
        if self.moment.segment is None:
            return self.history.main
        return track_of(self.history, self.moment.segment) or self.history.main

    def _timeline(self) -> Timeline:
        track = self._track()
        return timeline_of(track) if track is not None else Timeline()

    def view(self) -> View:
        timeline, moment = self.timeline, self.moment
        judged, history = self.second or ("", self.history)
        step = moment.at(timeline)
        return View(
            history=history,
            track=self._track(),
            columns=self.columns,
            timeline=timeline,
            moment=moment,
            lens=self.lens,
            step=step,
            head=timeline.head,
            time=history.last_time if moment.step is None else timeline.time_of(step),
            verdict=self._current_verdict(judged, history, step),
            state=self._state(step),
            symbols=self.symbols,
            judged=judged,
        )

    def _current_verdict(self, judged: str, history: History, step: int) -> Verdict:
        told = len(history.finding_log), len(history.judgements), history.end is None
        key = judged, self.moment.segment, told, step, self.moment.step is None
        if self._verdict is None or self._verdict[0] != key:
            self._verdict = key, verdict(history, self.moment.step, self._track())
        return self._verdict[1]

    def _state(self, step: int) -> State:
        """What happens now; at an earlier moment, only that it is one."""
        if not self.opened:
            return NOTHING_OPEN
        if self.moment.step is not None and (step < self.timeline.head or not self.moment.replay):
            return REPLAY if self.moment.replay else FROZEN
        now, via = state(self.history, self.feed.source.lost, self.feed.caught_up.is_set()), self._via()
        return now._replace(word=f"{now.word} {via}") if via and now.kind == "running" else now

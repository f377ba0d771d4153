"""`nnwatch export --share`: one session file to give away, without what only its owner should know.

Numbers, findings, layer names and versions stay. What is left out is not in the file: it is written anew, frame by
frame, and every text that is kept for another reason is searched for paths and the host's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from .errors import RunError
from .frame import Commit, Console, End, Event, Finding, Frame, Judgement, Run, Segment
from .session import Writer

PARTS = {
    "console": "what the script printed",
    "command": "the command with its arguments, and the names of scripts",
    "paths": "the interpreter, the working directory, and every other path",
    "host": "the machine's name",
    "exception": "message and traceback of an exception",
}
"""What is left out unless asked for. Console and exception, once asked for, are given as they were."""

_EVENTS = {"exception": "exception", "probe.failed": "exception", "notice": "paths"}
"""Events whose text may say anything: left out with these parts."""
_NUMBERS = {"facts", "nonfinite", "overflow", "disk.full"}
"""Events that say what is known of the training. Any other is left out: what is in it is not known here."""
_PATH = re.compile(r"""(?<![\w.])(?:~|\.{1,2})?/[^\s'":,;()]+""")
_SCRIPT = re.compile(r"""[^\s'":,;()/]+\.py\b""")
_NONE = "…"
_FLUSH = 32
"""Frames written at a time, where the recording is read chapter by chapter."""


def share(frames: Iterable[Frame], target: Path, keep: set[str]) -> None:
    """Write a new session without the parts that are not in ``keep``. Raises RunError, and then leaves no file."""
    try:
        writer = Writer(target)
    except FileExistsError:
        raise RunError(f"{target}: exists already and is not overwritten; give another name") from None
    except OSError as error:
        raise RunError(f"{target}: cannot be written: {error.strerror}") from None
    try:
        flush: list[Frame] = []
        commit = Commit(0.0)
        without = Without(keep, target.stem)
        for frame in frames:
            if isinstance(frame, Commit):
                commit = Commit(frame.time, dropped=frame.dropped)  # its cursors name processes
            elif (kept := without(frame)) is not None:
                flush.append(kept)
            if isinstance(frame, Commit) or len(flush) >= _FLUSH:
                writer.append(flush, commit)
                flush = []
        if flush:
            writer.append(flush, commit)  # what the recording holds beyond its last flush
    except OSError as error:
        target.unlink()
        raise RunError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        writer.close()


class Without:
    """Takes frames in order and gives each without the parts that are left out, or None."""

    def __init__(self, keep: set[str], name: str) -> None:
        self._keep = keep
        self._name = name
        self._secrets: list[re.Pattern[str]] = []

    def __call__(self, frame: Frame) -> Frame | None:
        keep = self._keep
        match frame:
            case Run():
                return self._run(frame)
            case Segment():
                return frame if "host" in keep else self._segment(frame)
            case Console():
                return frame if "console" in keep else None
            case Event() if frame.name in _EVENTS:
                return frame if _EVENTS[frame.name] in keep else None
            case Event():
                if frame.name not in _NUMBERS:
                    return None
                data = {k: v for k, v in frame.data.items() if k != "script" or "command" in keep}
                return replace(frame, data=_mapped(data, self._clean))
            case Finding():
                return self._finding(frame)
            case Judgement():
                return replace(frame, abstained=_mapped(frame.abstained, self._clean))
            case End():
                return replace(frame, cause=self._clean(frame.cause))
        return frame

    def _run(self, run: Run) -> Run:
        if "paths" not in self._keep:
            known = {run.cwd, run.python, str(Path.home())}  # these may hold blanks, which no pattern can tell
            longest_first = sorted((path for path in known if "/" in path.strip("/")), key=len, reverse=True)
            self._secrets += [re.compile(re.escape(path)) for path in longest_first]
        if "host" not in self._keep:
            self._hide(run.host)
        words = run.command if "command" in self._keep else []
        paths = "paths" in self._keep
        return replace(
            run,
            name=self._name,
            host=run.host if "host" in self._keep else _NONE,
            command=words if paths else [_PATH.sub(lambda path: path[0].rsplit("/", 1)[-1], word) for word in words],
            python=run.python if paths else "",
            cwd=run.cwd if paths else "",
        )

    def _segment(self, segment: Segment) -> Segment:
        self._hide(segment.host)
        return replace(segment, pid=0, host=_NONE if segment.host else "")

    def _hide(self, host: str) -> None:
        if host:
            self._secrets.append(re.compile(rf"(?<!\w){re.escape(host)}(?!\w)"))

    def _finding(self, finding: Finding) -> Finding:
        if finding.rule == "crashed" and "exception" not in self._keep:  # it quotes the exception
            finding = replace(finding, what=finding.title, why="", remedies=[])
        clean = self._clean
        return replace(
            finding,
            what=clean(finding.what),
            why=clean(finding.why),
            otherwise=clean(finding.otherwise),
            evidence=[replace(part, meaning=clean(part.meaning)) for part in finding.evidence],
            remedies=[
                replace(r, title=clean(r.title), change=clean(r.change), expect=clean(r.expect))
                for r in finding.remedies
            ],
        )

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = secret.sub(_NONE, text)
        if "paths" not in self._keep:
            text = _PATH.sub(_NONE, text)
        return text if "command" in self._keep else _SCRIPT.sub("script.py", text)


def _mapped(value: Any, clean: Callable[[str], str]) -> Any:
    """The same structure with every text in it cleaned."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {key: _mapped(part, clean) for key, part in value.items()}
        case list():
            return [_mapped(part, clean) for part in value]
    return value

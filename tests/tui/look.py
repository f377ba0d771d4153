"""Open the app on a made-up session or a file: ``python -m tests.tui.look faulty [attach|replay] [--ascii]``."""

from __future__ import annotations

import sys
from pathlib import Path

from nnwatch.tui.app import NnwatchApp

from .recording import File, Frames
from .sessions import SESSIONS

if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    name, mode = [*words, "attach"][:2] if len(words) > 1 else (words[0], "attach")
    if mode not in ("attach", "replay"):
        sys.exit(f"{mode}: say attach or replay")
    source = Frames(SESSIONS[name]()) if name in SESSIONS else File(Path(name))
    print(NnwatchApp(source, "replay" if mode == "replay" else "attach", title=name, ascii="--ascii" in sys.argv).run())

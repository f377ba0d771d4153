"""The same examples on every run: a test that fails does so for everyone. And the same signals: a shell that starts the
tests in the background has Ctrl+C and hang-ups ignored for them, and the tests send both. And what is compiled is kept:
hundreds of processes would compile nnwatch again, each for itself."""

import os
import signal

from hypothesis import settings

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

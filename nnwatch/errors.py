"""What the user is told in one line."""


class RunError(Exception):
    """What was asked for cannot be done: one line for the user (a list may follow), exit code 2."""

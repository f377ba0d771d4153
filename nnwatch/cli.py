"""The front door: `nnwatch COMMAND`. What each command does is in ``commands``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable

from . import __version__
from .command import Parser
from .commands import checking, lists, looking, recordings, running, screens
from .errors import RunError


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 2 for bad input, with one line that says what to do."""
    words = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 gets ? for what it cannot show
    try:
        if words[:1] == ["run"] and not {"-h", "--help"} & set(words[1:2]):
            return running.run(words[1:])
        if words[:1] == ["check"] and not {"-h", "--help"} & set(words[1:2]):
            return checking.check(words[1:])
        options = _parser().parse_args(words)
        action: Callable[[argparse.Namespace], int] = options.action
        return action(options)
    except RunError as error:
        print(f"nnwatch: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `nnwatch ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        return 130


def _parser() -> Parser:
    top = Parser(prog="nnwatch", description="Watch a PyTorch training in the terminal, and be told what is wrong.")
    top.add_argument("--version", action="version", version=f"nnwatch {__version__}")
    top.set_defaults(action=lists.list_runs, json=False)
    commands = top.add_subparsers(metavar="COMMAND", parser_class=Parser)
    for part in (running, checking, screens, looking, recordings, lists):
        part.add(commands)
    return top


if __name__ == "__main__":
    sys.exit(main())

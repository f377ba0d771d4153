"""Commands with a screen: `nnwatch attach`, `replay` and `demo`, and what attach starts on another machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import listen, runs
from ..command import has_screen, screen_options, take_screen_options
from ..errors import RunError
from . import RUN, WHICH, command


def add(commands: Any) -> None:
    attach_ = command(commands, "attach", attach, "the screen on a running job, or on how a run ended")
    which = attach_.add_mutually_exclusive_group()
    which.add_argument(
        "run", nargs="?", metavar="RUN",
        help=f"{WHICH}; ssh://USER@HOST/RUN or tcp://HOST:PORT for one that is far away",
    )  # fmt: skip
    which.add_argument("--pid", type=int, help="a process that was started without nnwatch (Python 3.14 or newer)")
    attach_.add_argument("--token-file", metavar="FILE", help="the token of tcp:// ($NNWATCH_TOKEN otherwise)")
    attach_.add_argument(
        "--remote", default="nnwatch", metavar="COMMAND", help="the nnwatch over there, if it is not on PATH (ssh://)"
    )
    relay_ = commands.add_parser("relay")  # for attach ssh://, which starts it over there: not in the list
    relay_.add_argument("run", nargs="?")
    relay_.set_defaults(action=relay)
    replay_ = command(commands, "replay", replay, "play a recorded run from its first step")
    replay_.add_argument("run", **RUN)
    demo_ = command(commands, "demo", demo, "replay a recorded faulty run; needs no torch")
    for made in (attach_, replay_, demo_):
        screen_options(made)


def attach(options: argparse.Namespace) -> int:
    take_screen_options(options)
    from .. import dial
    from ..screen import appeared, show, show_far

    if options.pid is not None:
        from .. import late

        card = late.attach(options.pid)
        appeared(card)
        return show(card, "attach")
    if (far := dial.far(options.run or "", options.remote)) is not None:
        return show_far(far, listen.given_token(options.token_file))
    return show(runs.resolve(options.run), "attach")


def relay(options: argparse.Namespace) -> int:
    from ..relay import relay

    return relay(runs.resolve(options.run or None))


def replay(options: argparse.Namespace) -> int:
    take_screen_options(options)
    from ..logs import find
    from ..screen import choose, show

    if has_screen() and len(find.of_folder(options.run)) > 1:
        return choose(options.run, lambda: find.of_folder(options.run))
    return show(runs.resolve(options.run), "replay")


def demo(options: argparse.Namespace) -> int:
    take_screen_options(options)
    from ..screen import show

    recording = Path(__file__).parent.parent / "demo.nnw"
    if not recording.exists():
        raise RunError(f"{recording}: the recording is missing from this installation; install nnwatch again")
    return show(runs.resolve(str(recording), []), "replay")

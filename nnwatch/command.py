"""What `nnwatch run` is asked to do: its own options, and the user's command, which is not touched."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from . import interpreter, listen, notify
from .errors import RunError

SEVERITIES = ("info", "watch", "warn", "error", "fatal")
_ONE = ("--session", "--name", "--python", "--budget", "--fail-on", "--listen", "--token-file", "--join")
_VALUES = dict.fromkeys(_ONE, 1) | {"--on": 2, "--alert": 2}
"""Options of `run` and how many words each takes; all others take none."""


class Parser(argparse.ArgumentParser):
    """Wrong arguments are one line, and exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise RunError(f"{message}; see `{self.prog} --help`")


class Request(NamedTuple):
    """``command`` is what will be started, ``why`` one line on the choice of the interpreter."""

    command: list[str]
    python: str
    why: str
    options: Any


def parser(parent: Any = None) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = (
        parent.add_parser("run", help="run a training script and watch it") if parent else Parser(prog="nnwatch run")
    )
    made.usage = "nnwatch run [options] train.py [args] | -m pkg.train [args] | -- any command"
    made.add_argument("--session", metavar="FILE", help="record into this new file (default: a new one in ./.nnwatch)")
    made.add_argument("--name", help="what to call the run (default: script-MMDD-HHMM)")
    made.add_argument("--headless", action="store_true", help="no screen; input, output and Ctrl+C as without nnwatch")
    made.add_argument("--python", help="interpreter for the script (default: the first that has torch)")
    made.add_argument("--budget", type=_share, default=0.01, metavar="1%", help="what the probes may cost of a step")
    made.add_argument(
        "--compiled-layers", action="store_true",
        help="look into the layers of a compiled model too: its sampled steps run uncompiled",
    )  # fmt: skip
    made.add_argument("--fail-on", choices=SEVERITIES, help="exit code 3 if a finding as severe as this was made")
    made.add_argument(
        "--on", nargs=2, action="append", default=[], metavar=("SEVERITY", "COMMAND"),
        help="start COMMAND for each finding as severe as this, with the finding as JSON on its standard input",
    )  # fmt: skip
    made.add_argument(
        "--alert", nargs=2, action="append", default=[], metavar=("SEVERITY", "ADDRESS"),
        help="send a message of findings as severe as this; ADDRESS is a URL of apprise or a file of them",
    )  # fmt: skip
    made.add_argument(
        "--listen", type=_address, metavar="[HOST:]PORT",
        help="let viewers in over TCP as well, if they have the token; without HOST, from this machine alone",
    )  # fmt: skip
    made.add_argument(
        "--join", type=_first, metavar="HOST:PORT",
        help="one session of all nodes: the same on each of them, HOST is the first one; with a token",
    )  # fmt: skip
    made.add_argument("--token-file", metavar="FILE", help="the token ($NNWATCH_TOKEN or a new one otherwise)")
    made.add_argument(
        "--expose", action="store_true", help="allow --listen on an address that other machines reach; not encrypted"
    )
    screen_options(made)
    return made


def screen_options(made: argparse.ArgumentParser) -> None:
    """What every command with a screen understands."""
    made.add_argument("--ascii", action="store_true", help="a screen of ASCII alone; always with $NNWATCH_ASCII=1")


def take_screen_options(options: Any) -> None:
    """Let the screen of this process know."""
    if options.ascii:
        os.environ["NNWATCH_ASCII"] = "1"


def _placed(address: str) -> str:
    """The monitor runs elsewhere: a file needs its whole path."""
    return address if "://" in address else str(Path(address).expanduser().absolute())


def _address(text: str) -> listen.Address:
    try:
        return listen.address(text)
    except RunError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _first(text: str) -> listen.Address:
    found = _address(text)
    if ":" not in text or not (found.host and found.port):
        raise argparse.ArgumentTypeError(f"{text}: no address of the first node; give HOST:PORT, such as node1:7007")
    return found


def _check_listen(options: Any) -> None:
    if options.join is not None and not listen.given_token(options.token_file):
        raise RunError(f"--join takes a token, the same on every node: ${listen.TOKEN} or --token-file FILE")
    if options.listen is None:
        if options.expose or (options.token_file is not None and options.join is None):
            raise RunError("--expose and --token-file go with --listen [HOST:]PORT")
    elif not options.expose and not listen.loopback(options.listen):
        raise RunError(
            f"--listen {options.listen}: other machines reach it, and nothing is encrypted; better is"
            " `nnwatch attach ssh://HOST/RUN`, and if it has to be, add --expose"
        )


def _share(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share of the step; write 1% or 0.01")
    return value


def request(argv: list[str]) -> Request:
    """Understand what follows ``nnwatch run``. Raises RunError."""
    at = 0
    while at < len(argv) and argv[at].startswith("-") and argv[at] not in ("-m", "--"):
        at += 1 + _VALUES.get(argv[at], 0)
    options = parser().parse_args(argv[:at])
    options.alert = [[severity, _placed(address)] for severity, address in options.alert]
    for option, given in (("--on", options.on), ("--alert", options.alert)):
        for severity, _ in given:
            if severity not in SEVERITIES:
                raise RunError(f"{option} {severity}: no severity; choose from {', '.join(SEVERITIES)}")
    for _, address in options.alert:
        notify.check(address)
    if options.name is not None and not (options.name.strip() and options.name.isprintable()):
        raise RunError("--name: has to be printable text")
    _check_listen(options)
    return Request(*target(argv[at:], options.python), options)


def target(words: list[str], python: str | None, verb: str = "run") -> tuple[list[str], str, str]:
    """The command that ``words`` stand for (a script, -m MODULE, or -- COMMAND), its interpreter (empty for a command
    that names its own) and one line that says why it. ``python`` is the one wanted. Raises RunError."""
    form, rest = (words[0], words[1:]) if words else ("", [])
    if form == "--":
        return _any(rest, python, verb), "", ""
    if not form or (form == "-m" and not rest):
        raise RunError(f"nothing to run; give a script (nnwatch {verb} train.py), -m MODULE, or -- COMMAND")
    if form != "-m":
        _check_script(Path(form), verb)
    python, why = interpreter.choose(python)
    return [python, form, *rest], python, why


def _any(words: list[str], python: str | None, verb: str) -> list[str]:
    if not words:
        raise RunError(f"nothing to run after --; give a command, such as: nnwatch {verb} -- torchrun train.py")
    if python is not None:
        raise RunError("--python chooses who runs a script; the command after -- names its own interpreter")
    if shutil.which(words[0]) is None:
        raise RunError(f"{words[0]}: no such command; a script needs no --: nnwatch {verb} train.py")
    return words


def _check_script(script: Path, verb: str) -> None:
    if script.is_dir():
        if not (script / "__main__.py").exists():
            raise RunError(f"{script}: a directory without __main__.py, not a script; give the .py file in it")
    elif not script.exists():
        found = shutil.which(str(script))
        hint = f"to run the command {found}: nnwatch {verb} -- {script}" if found else "check the path"
        raise RunError(f"{script}: no such script; {hint}")
    else:
        try:
            script.open("rb").close()
        except OSError as error:
            raise RunError(f"{script}: cannot be read: {error.strerror}") from None


def has_screen() -> bool:
    """Whether the standard streams are a terminal that can show a screen."""
    import importlib.util
    import os

    tty = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    return tty and os.environ.get("TERM", "") not in ("", "dumb") and importlib.util.find_spec("textual") is not None

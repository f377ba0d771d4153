"""The front door: `nnwatch COMMAND`. Each command opens the rooms it needs, when it needs them."""

from __future__ import annotations

import argparse
import functools
import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import __version__, command, listen, runs
from .command import Parser
from .runs import Card, RunError

_RUN = {"nargs": "?", "metavar": "RUN", "help": "a path, a name, a unique prefix, or nothing for the newest"}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 2 for bad input, with one line that says what to do."""
    words = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 gets ? for what it cannot show
    try:
        if words[:1] == ["run"] and not {"-h", "--help"} & set(words[1:2]):
            return run(words[1:])
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
    top.set_defaults(action=list_runs, json=False)
    commands = top.add_subparsers(metavar="COMMAND", parser_class=Parser)
    command.parser(commands)

    def add(name: str, action: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
        made.set_defaults(action=action)
        return made

    attach_ = add("attach", attach, "the screen on a running job, or on how a run ended")
    attach_.add_argument(
        "run", nargs="?", metavar="RUN",
        help=f"{_RUN['help']}; ssh://USER@HOST/RUN or tcp://HOST:PORT for one that is far away",
    )  # fmt: skip
    attach_.add_argument("--token-file", metavar="FILE", help="the token of tcp:// ($NNWATCH_TOKEN otherwise)")
    attach_.add_argument(
        "--remote", default="nnwatch", metavar="COMMAND", help="the nnwatch over there, if it is not on PATH (ssh://)"
    )
    relay_ = commands.add_parser("relay")  # for attach ssh://, which starts it over there: not in the list
    relay_.add_argument("run", nargs="?")
    relay_.set_defaults(action=relay)
    replay_ = add("replay", replay, "play a recorded run from its first step")
    replay_.add_argument("run", **_RUN)  # type: ignore[arg-type]
    report_ = add("report", report, "what was found, as text or JSON")
    report_.add_argument("run", **_RUN)  # type: ignore[arg-type]
    form = report_.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--html", metavar="FILE", help="as one page to look at or send, with curves, into this new file")
    form.add_argument("--info", action="store_true", help="what the file holds: frames, metrics, times")
    form.add_argument(
        "--verify", action="store_true", help="read everything; exit code 2 and the bytes if it is flawed"
    )
    export_ = add("export", export, "the numbers of a run for other programs")
    export_.add_argument("run", **_RUN)  # type: ignore[arg-type]
    kind = export_.add_mutually_exclusive_group(required=True)
    kind.add_argument("--to", choices=("csv", "jsonl", "parquet", "tensorboard"), help="as files of this kind")
    kind.add_argument("--share", metavar="OUT.nnw", help="as one session file to give away, without what is private")
    export_.add_argument(
        "--with", dest="parts", type=_parts, default=set(), metavar="PART,...",
        help="what --share leaves out unless asked for: console, command, paths, host, exception",
    )  # fmt: skip
    export_.add_argument("--out", metavar="DIR", help="a new or empty folder (default: named after the session, here)")
    add("wait", wait, "block until a run has ended; its exit code is the run's").add_argument("run", **_RUN)  # type: ignore[arg-type]
    compare_ = add(
        "compare", compare, "two runs side by side: settings, curves, findings, and which is shown to be better"
    )
    compare_.add_argument("a", metavar="A", help=str(_RUN["help"]))
    compare_.add_argument("b", metavar="B")
    compare_.add_argument("more", metavar="C", nargs="*", help="with more than two: what changed from run to run")
    compare_.add_argument("--json", action="store_true", help="for programs")
    add("ls", ls, "the runs, newest first").add_argument("--json", action="store_true", help="for programs")
    explain_ = add("explain", explain, "why a rule matters, how it decides, what to do")
    explain_.add_argument("id", nargs="?", metavar="ID", help="a rule or a metric; without one, the list of both")
    add("metrics", metrics, "everything that is measured")
    demo_ = add("demo", demo, "replay a recorded faulty run; needs no torch")
    for made in (attach_, replay_, demo_):
        command.screen_options(made)
    return top


def run(words: list[str]) -> int:
    """`nnwatch run`: headless where there is no terminal for a screen."""
    from . import job as jobs
    from . import settings

    asked = command.request(words)
    options = asked.options
    command.take_screen_options(options)
    headless = options.headless or not command.has_screen()
    greeting = f"nnwatch: {asked.why}\n" if asked.why else ""
    prepare = functools.partial(
        jobs.prepare,
        asked.command,
        python=asked.python,
        name=options.name,
        session=options.session,
        headless=headless,
        budget=options.budget,
        compiled_layers=options.compiled_layers,
        fail_on=options.fail_on,
        on=options.on,
        settings=settings.read(Path.cwd()),
        alerts=options.alert,
        listen=options.listen,
        token=listen.given_token(options.token_file) if options.listen is not None else "",
    )
    from . import launch, step

    job, leads = step.join(asked.command, prepare) if headless else (prepare(), True)
    if not leads:
        return launch.die_like(launch.take_part(job, asked.command))
    if headless:
        code = launch.watch(job, greeting)
        return launch.die_like(code) if code else _verdict_code(job, options.fail_on)
    from .screen import live

    print(greeting, end="", file=sys.stderr)
    code = live(job)
    return code or _verdict_code(job, options.fail_on)


def _verdict_code(job: Path, fail_on: str | None) -> int:
    """3 if a finding was as severe as the user does not want it."""
    if fail_on is None:
        return 0
    try:
        worst = (Card.load(job / "job.json").end or {}).get("worst")
    except ValueError:  # the job folder was removed under way
        return 0
    order = command.SEVERITIES
    return 3 if worst in order and order.index(worst) >= order.index(fail_on) else 0


def attach(options: argparse.Namespace) -> int:
    command.take_screen_options(options)
    from . import dial
    from .screen import show, show_far

    if (far := dial.far(options.run or "", options.remote)) is not None:
        return show_far(far, listen.given_token(options.token_file))
    return show(runs.resolve(options.run), "attach")


def relay(options: argparse.Namespace) -> int:
    from .relay import relay

    return relay(runs.resolve(options.run or None))


def replay(options: argparse.Namespace) -> int:
    command.take_screen_options(options)
    from .screen import show

    return show(runs.resolve(options.run), "replay")


def demo(options: argparse.Namespace) -> int:
    command.take_screen_options(options)
    from .screen import show

    recording = Path(__file__).parent / "demo.nnw"
    if not recording.exists():
        raise RunError(f"{recording}: the recording is missing from this installation; install nnwatch again")
    return show(runs.resolve(str(recording), []), "replay")


def report(options: argparse.Namespace) -> int:
    from .report import text
    from .screen import summary

    if options.info or options.verify:
        return inventory(options)
    about, flaw = summary(runs.resolve(options.run))
    if options.html is not None:
        from .page import write

        print(write(about, Path(options.html)))
    else:
        print(json.dumps(about.json(), indent=2) if options.json else text(about).rstrip())
    return _told(flaw)


def inventory(options: argparse.Namespace) -> int:
    """`nnwatch report --info` and `--verify`."""
    from . import info

    card = runs.resolve(options.run)
    about = info.Inventory(card.session, growing=card.state in ("running", "elsewhere"))
    if options.info:
        print(info.info(about), end="")
    elif not about.flaws:
        print(info.verified(about), end="")
    print("".join(f"{about.path}: {flaw}\n" for flaw in about.flaws), end="", file=sys.stderr)
    return 2 if about.flaws else 0


def wait(options: argparse.Namespace) -> int:
    from .wait import wait

    return wait(runs.resolve(options.run))


def export(options: argparse.Namespace) -> int:
    from .export import Recording, export
    from .share import share

    card = runs.resolve(options.run)
    frames = Recording(card)
    if options.share is not None:
        share(frames, Path(options.share), options.parts)
        print(options.share)
        return _told(frames.flaw)
    folder = Path(options.out or f"{Path(card.session).stem}-{options.to}")
    for path in export(frames, options.to, folder):
        print(path)
    return _told(frames.flaw)


def _parts(text: str) -> set[str]:
    from .share import PARTS

    parts = set(text.split(","))
    if unknown := sorted(parts - set(PARTS)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no part; choose from {', '.join(PARTS)}")
    return parts


def _told(flaw: str | None) -> int:
    """All that is whole of a recording has been told or written; now what is missing of it."""
    if flaw:
        raise RunError(flaw)
    return 0


def compare(options: argparse.Namespace) -> int:
    from . import ledger
    from .screen import summary

    read = [summary(runs.resolve(name)) for name in (options.a, options.b, *options.more)]
    told = ledger.told([one for one, _ in read])
    print(json.dumps(told, indent=2) if options.json else ledger.text(told).rstrip())
    return _told(next((flaw for _, flaw in read if flaw), None))


def list_runs(options: argparse.Namespace) -> int:
    """`nnwatch` alone."""
    if command.has_screen():
        from .screen import choose

        return choose()
    return ls(options)


def ls(options: argparse.Namespace) -> int:
    cards = runs.runs()
    if options.json:
        print(json.dumps([_row(card) for card in cards], indent=2))
        return 0
    if not cards:
        print("no runs yet; start one: nnwatch run train.py")
    for card in cards:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(card.started))
        latest = card.latest
        loss = latest.get("loss")
        said = f"{latest['severity']} {latest['finding']}" if latest.get("finding") else ""
        at = f"step {latest.get('step', 0):,}" + (f"  loss {loss:.4g}" if isinstance(loss, float | int) else "")
        if card.state == "elsewhere":  # its processes cannot be seen from here, only what they write
            said += f"  on {card.host}, {max(0.0, time.time() - latest.get('time', card.started)):.0f} s ago"
        print(f"{card.id}  {when}  {card.state:9}  {card.name:24}  {at:28}  {said}".rstrip())
    return 0


def _row(card: Card) -> dict[str, object]:
    return {
        "id": card.id,
        "name": card.name,
        "status": card.state,
        "session": card.session,
        "host": card.host,
        "command": card.command,
        "started": card.started,
        "attach": card.attach,
        "latest": card.latest,
        "end": card.end,
    }


def explain(options: argparse.Namespace) -> int:
    from nnwatch.advisor.page import listing, metric_page, page

    from . import settings
    from .metric import METRICS

    rules, _, complaints = settings.rules(settings.read(Path.cwd()))
    for complaint in complaints:
        print(f"nnwatch: {complaint}", file=sys.stderr)
    if options.id is None:
        print(listing(rules))
    elif options.id in METRICS:
        print(metric_page(options.id, rules))
    else:
        try:
            print(page(options.id, rules))
        except KeyError as error:
            raise RunError(f"{error.args[0]}; metrics have pages too, see `nnwatch metrics`") from None
    return 0


def metrics(options: argparse.Namespace) -> int:
    from .metric import METRICS

    for metric in METRICS.values():
        print(f"{metric.name:22}  {metric.unit:8}  {metric.meaning}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

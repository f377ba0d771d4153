"""What is done with a run, or with several: `nnwatch report`, `export`, `compare`, `wait`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .. import runs
from ..card import Card
from ..errors import RunError
from . import RUN, WHICH, command


def add(commands: Any) -> None:
    report_ = command(commands, "report", report, "what was found, as text or JSON")
    report_.add_argument("run", **RUN)
    form = report_.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--html", metavar="FILE", help="as one page to look at or send, with curves, into this new file")
    form.add_argument("--info", action="store_true", help="what the file holds: frames, metrics, times")
    form.add_argument(
        "--verify", action="store_true", help="read everything; exit code 2 and the bytes if it is flawed"
    )
    export_ = command(commands, "export", export, "the numbers of a run for other programs")
    export_.add_argument("run", **RUN)
    kind = export_.add_mutually_exclusive_group(required=True)
    kind.add_argument("--to", choices=("csv", "jsonl", "parquet", "tensorboard"), help="as files of this kind")
    kind.add_argument("--share", metavar="OUT.nnw", help="as one session file to give away, without what is private")
    export_.add_argument(
        "--with", dest="parts", type=_parts, default=set(), metavar="PART,...",
        help="what --share leaves out unless asked for: console, command, paths, host, exception",
    )  # fmt: skip
    export_.add_argument("--out", metavar="DIR", help="a new or empty folder (default: named after the session, here)")
    compare_ = command(
        commands, "compare", compare,
        "two runs side by side: settings, curves, findings, and which is shown to be better",
    )  # fmt: skip
    compare_.add_argument("a", metavar="A", help=WHICH)
    compare_.add_argument("b", metavar="B")
    compare_.add_argument("more", metavar="C", nargs="*", help="with more than two: what changed from run to run")
    compare_.add_argument("--json", action="store_true", help="for programs")
    wait_ = command(commands, "wait", wait, "block until a run has ended; its exit code is the run's")
    wait_.add_argument("run", **RUN)


def report(options: argparse.Namespace) -> int:
    from ..logs import find
    from ..report import text
    from ..screen import summary

    if options.info or options.verify:
        return inventory(options)
    if options.html is None and len(cards := find.of_folder(options.run)) > 1:
        return report_all(cards, options.json)
    about, flaw = summary(runs.resolve(options.run))
    if options.html is not None:
        from ..page import write

        print(write(about, Path(options.html)))
    else:
        print(json.dumps(about.json(), indent=2) if options.json else text(about).rstrip())
    return _told(flaw)


def report_all(cards: list[Card], as_json: bool) -> int:
    """Every run of a folder of logs; of one that cannot be read a line, and the others are told all the same."""
    from ..report import text
    from ..screen import summary

    flaws: list[str] = []
    told = []
    for card in cards:
        try:
            about, flaw = summary(card)
        except RunError as error:
            flaws.append(str(error))
            continue
        flaws += [flaw] if flaw else []
        if as_json:
            told.append(about.json())
        else:
            print(text(about, reasons=False))
    if as_json:
        print(json.dumps(told, indent=2))
    return _told("\nnnwatch: ".join(flaws))


def inventory(options: argparse.Namespace) -> int:
    """`nnwatch report --info` and `--verify`."""
    from .. import info

    card = runs.resolve(options.run)
    if card.format:
        raise RunError(f"{card.session}: a log of {card.format}; --info and --verify are for sessions of nnwatch")
    about = info.Inventory(card.session, growing=card.state in ("running", "elsewhere"))
    if options.info:
        print(info.info(about), end="")
    elif not about.flaws:
        print(info.verified(about), end="")
    print("".join(f"{about.path}: {flaw}\n" for flaw in about.flaws), end="", file=sys.stderr)
    return 2 if about.flaws else 0


def export(options: argparse.Namespace) -> int:
    from ..export import Recording, export
    from ..share import share

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
    from ..share import PARTS

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
    from .. import ledger
    from ..screen import summary

    read = [summary(runs.resolve(name)) for name in (options.a, options.b, *options.more)]
    told = ledger.told([one for one, _ in read])
    print(json.dumps(told, indent=2) if options.json else ledger.text(told).rstrip())
    return _told(next((flaw for _, flaw in read if flaw), None))


def wait(options: argparse.Namespace) -> int:
    from ..wait import wait

    card = runs.resolve(options.run)
    if card.format:
        raise RunError(f"{card.session}: a log of {card.format} is nobody's to wait for; `nnwatch attach` follows it")
    return wait(card)

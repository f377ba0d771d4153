"""Runs a script under a boot folder, as the launcher would, and reads back what the probes recorded."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import nnwatch
from nnwatch.probes.hooks import Patches
from nnwatch.probes.standby import Standby
from nnwatch.ring import EVENT, Reader

PACKAGE = Path(nnwatch.__file__).parent
SEVERAL = Path(__file__).parents[1] / "styles" / "scripts" / "several.py"
HEAD = struct.Struct("<qqd")


@dataclass
class Recorded:
    """What one process left: its printed text, and its records by metric."""

    returncode: int
    stdout: str
    stderr: str
    job: Path
    folder: tempfile.TemporaryDirectory[str] | None = None
    """The job's own, removed when this object goes."""
    events: list[dict[str, Any]] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)
    series: dict[str, list[tuple[int, int, np.ndarray]]] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)

    def printed(self) -> Any:
        """The last line the script printed, which is JSON."""
        return json.loads(self.stdout.strip().splitlines()[-1])

    def values(self, metric: str, segment: int = 0) -> np.ndarray:
        """(records, width) of one metric."""
        return np.array([value for _, there, value in self.series[metric] if there == segment], dtype=object).astype(
            float
        )

    def scalars(self, metric: str, segment: int = 0) -> np.ndarray:
        return self.values(metric, segment)[:, 0]

    def steps(self, metric: str, segment: int = 0) -> list[int]:
        return [step for step, there, _ in self.series[metric] if there == segment]

    def facts(self, segment: int | None = None) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        for event in self.events:
            if event["name"] == "facts" and segment in (None, event["segment"]):
                facts.update(event["data"])
        return facts

    def event(self, name: str) -> dict[str, Any]:
        found = [event for event in self.events if event["name"] == name]
        assert found, f"no event {name}: {[event['name'] for event in self.events]}\n{self.stderr}"
        return found[0]


def make_boot(job: Path, budget: float = 0.01, ring_bytes: int = 8 << 20, rings: list[str] | None = None) -> Path:
    """JOB with its boot folder and ring folder; gives back the boot folder."""
    boot = job / "boot"
    boot.mkdir(parents=True)
    (job / "rings").mkdir()
    (boot / "sitecustomize.py").write_bytes((PACKAGE / "boot" / "sitecustomize.py").read_bytes())
    (boot / "nnwatch").symlink_to(PACKAGE)
    where = {"job": str(job), "session": str(job / "run.nnw"), "rings": rings or [str(job / "rings")]}
    (boot / "settings.json").write_text(json.dumps(where | {"ring_bytes": ring_bytes, "budget": budget}))
    return boot


def environment(boot: Path | None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NNWATCH", "PYTHON"))}
    kept["OMP_NUM_THREADS"] = "1"
    if boot is not None:
        kept["PYTHONPATH"] = str(boot)
    return kept


def read(recorded: Recorded, path: Path) -> None:
    """Add the records of one ring."""
    reader = Reader(str(path))
    schemas, labels = {}, {}
    for entry in reader.catalogue():
        match entry["kind"]:
            case "segment":
                recorded.segments.append(entry)
            case "labels":
                labels[entry["id"]] = entry["names"]
            case "schema":
                schemas[entry["id"]] = entry
    for record in reader.records():
        if record.schema == EVENT:
            recorded.events.append(json.loads(record.payload) | {"pid": reader.pid})
            continue
        segment, step, _ = HEAD.unpack_from(record.payload)
        values, at = np.frombuffer(record.payload, np.float32, offset=HEAD.size), 0
        for metric, width, label in schemas[record.schema]["fields"]:
            recorded.series.setdefault(metric, []).append((step, segment, values[at : at + width]))
            if label:
                recorded.names[metric] = labels[label]
            at += width
        assert at == len(values)
    reader.close()


def watched(folder: Path, train: Callable[[], None], budget: float = 0.01, **settings: Any) -> Recorded:
    """Run ``train`` in this process under the probes; an error of a probe is an error here."""
    rings = folder / "rings"
    rings.mkdir()
    watching = Standby({"rings": [str(rings)], "ring_bytes": 4 << 20, "budget": budget} | settings)
    patches = Patches(watching)
    try:
        train()
    finally:
        patches.remove()
    assert not watching.probes._failures
    recorded = Recorded(0, "", "", folder)
    for path in rings.iterdir():
        read(recorded, path)
    return recorded


def run(
    script: str,
    *,
    watched: bool = True,
    job: Path | None = None,
    args: tuple[str, ...] = (),
    python: tuple[str, ...] = (),
    budget: float = 0.01,
    rings: list[str] | None = None,
    ring_bytes: int = 8 << 20,
    extra: dict[str, str] | None = None,
    more_path: str | None = None,
    timeout: float = 600.0,
) -> Recorded:
    """Run ``script`` (its text) in a process of its own; the records of all its processes come back."""
    folder = tempfile.TemporaryDirectory(prefix="nnwatch-test-") if job is None else None
    job = job or Path(folder.name)  # type: ignore[union-attr]
    boot = make_boot(job, budget, ring_bytes, rings) if watched else None
    source = job / "script"
    source.mkdir(parents=True, exist_ok=True)
    (source / "train.py").write_text(textwrap.dedent(script))
    surroundings = environment(boot) | (extra or {})
    if more_path is not None:
        surroundings["PYTHONPATH"] += os.pathsep + more_path
    done = subprocess.run(
        [sys.executable, *python, "train.py", *args],
        cwd=source,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    recorded = Recorded(done.returncode, done.stdout, done.stderr, job, folder)
    if watched:
        for path in sorted((job / "rings").iterdir()):
            read(recorded, path)
    return recorded


def runs(script: str, *jobs: tuple[str, ...]) -> list[Recorded]:
    """Run ``script`` for each of several arguments, in forks of one watched process: torch is imported once for all."""
    folder = tempfile.TemporaryDirectory(prefix="nnwatch-test-")
    place = Path(folder.name)
    boot = make_boot(place)
    source = place / "train.py"
    source.write_text(textwrap.dedent(script))
    own = [place / str(number) for number in range(len(jobs))]
    for one in own:
        one.mkdir()
    words = json.dumps([[str(source), args, str(one)] for args, one in zip(jobs, own, strict=True)])
    subprocess.run([sys.executable, str(SEVERAL), words], env=environment(boot), capture_output=True, check=False)
    found = []
    for one in own:
        pid, code = (one / "ended").read_text().split()
        told = Recorded(int(code), (one / "stdout").read_text(), (one / "stderr").read_text(), one, folder)
        for ring in (place / "rings").glob(f"{pid}-*"):
            read(told, ring)
        found.append(told)
    return found


def one_segment_each(done: Recorded, starts: list[int] | None = None) -> None:
    """Each training is a segment with its own losses, steps and facts."""
    assert done.returncode == 0, done.stderr
    assert not [event for event in done.events if event["name"] == "probe.failed"], done.events
    trainings = done.printed()
    assert len(done.segments) == len(trainings)
    for number, (segment, losses) in enumerate(zip(done.segments, trainings, strict=True)):
        first = segment["first_step"]
        assert first == (starts[number] if starts else 0)
        assert done.steps("loss.train", number) == list(range(first + 1, first + 1 + len(losses)))
        np.testing.assert_allclose(done.scalars("loss.train", number), losses, rtol=1e-5)
        assert done.steps("update.ratio", number)[:10] == list(range(first + 1, first + 11))

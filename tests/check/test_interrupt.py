"""Ctrl+C: nothing is left running, nothing is left behind."""

import os
import signal
from pathlib import Path

from ..nnwatch.doors import PATIENCE, until
from .trying import PLAIN


def test_an_interrupt_ends_the_script_too(home):
    pid = Path("/dev/shm") / f"{os.getpid()}-{home.folder.name}"  # outside of what is contained
    script = f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\n"
    home.script(
        "train.py",
        script + PLAIN.replace("EPOCHS", "100000").replace("loss.backward()", "loss.backward(); time.sleep(0.2)"),
    )
    process = home.start("check", "train.py", start_new_session=True)
    try:
        until(lambda: pid.exists() and pid.read_text().isdigit())
        trainer = int(pid.read_text())
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        pid.unlink(missing_ok=True)
    assert process.returncode == 130
    assert "Traceback" not in err
    until(lambda: not Path(f"/proc/{trainer}").exists())
    spec = next((home.folder / "state/nnwatch/jobs").glob("*/contain.json")).read_text()
    assert not [path for path in Path("/tmp").glob("nnwatch-check-*") if str(path) in spec]

"""`nnwatch run --headless` is the command itself: its end, its signals, its streams, its arguments."""

import os
import shlex
import signal
import subprocess
import termios

import pytest

from nnwatch import stall
from nnwatch.cli import main
from nnwatch.parser import PRELUDE
from nnwatch.seal import MARK

from .doors import NNWATCH, PATIENCE, fill, history, until
from .terminals import in_a_terminal, read_until


@pytest.mark.parametrize(
    ("end", "code"),
    [("close", 0), ("exit3", 3), ("SIGKILL", -9), ("SIGTERM", -15), ("SIGSEGV", -11), ("SIGINT", -2)],
)
def test_the_command_s_end_is_ours_and_no_step_is_lost(home, end, code):
    done = home.nnwatch("run", "trainer.py", "300", "0", end)
    assert done.returncode == code
    assert done.stdout == "trained\n"
    seen = history(home.session())
    assert seen.last_step == len(seen.main["loss.train"]) == 300
    status = "finished" if code == 0 else "failed" if code > 0 else "killed"
    assert (seen.end.status, seen.end.exit, seen.end.signal) == (
        status,
        code if code >= 0 else None,
        -code if code < 0 else None,
    )
    assert done.stderr.count("Traceback") == (end == "SIGINT")  # the script's own
    card = home.cards()[0]
    assert card.state == status
    until(lambda: not (home.job(card) / "boot").exists() and not os.path.exists(card.socket))


def test_arguments_streams_and_main_are_the_script_s_own(home):
    home.script(
        "show.py",
        "import sys, os, pickle\n"
        "class Thing: pass\n"
        "assert __name__ == '__main__' and pickle.loads(pickle.dumps(Thing())).__class__ is Thing\n"
        "assert '' not in os.environ['PYTHONPATH'].split(':')\n"
        "print(sys.argv, repr(sys.stdin.read()), os.isatty(0), sys.path[0] == os.getcwd(), os.read(7, 9))\n"
        "print('err', file=sys.stderr)\n",
    )
    options = ["show.py", "--name", "mine", "-m", "--", "-h"]
    home.script("kept", "kept open")
    shell = ["sh", "-c", 'exec 7<kept; exec "$@"', "sh", *NNWATCH, "run", "--name", "ours"]
    done = subprocess.run(
        [*shell, *options], input="typed", capture_output=True, text=True, cwd=home.folder, env=home.env
    )
    assert done.stdout == f"{options!r} 'typed' False True {b'kept open'!r}\n"
    assert "err\n" in done.stderr
    assert home.cards()[0].name == "ours"


def test_modules_and_any_command(home):
    (home.folder / "pkg").mkdir()
    home.script("pkg/__init__.py", "")
    home.script("pkg/train.py", "import sys; print(__name__, __package__, sys.argv[1:])")
    done = home.nnwatch("run", "-m", "pkg.train", "a", "-b")
    assert done.stdout == "__main__ pkg ['a', '-b']\n"
    done = home.nnwatch("run", "--", "sh", "-c", "echo $0 $1; exit 5", "one", "two")
    assert (done.stdout, done.returncode) == ("one two\n", 5)
    assert "python" not in done.stderr.splitlines()[0]


SIGNALLED = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda n, _: os.write(1, signal.Signals(n).name.encode() + b"\\n"))
signal.signal(signal.SIGUSR2, lambda *_: os._exit(0))
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""
"""Says which signals come until it is sent SIGUSR2, before which all others have come."""


def test_a_signal_from_a_process_is_passed_on_once(home):
    home.script("signalled.py", SIGNALLED)
    process = home.start("run", "signalled.py")
    assert process.stdout.readline() == "ready\n"
    for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
        assert process.stdout.readline() == f"{number.name}\n"
    process.send_signal(signal.SIGUSR2)
    out, _ = process.communicate(timeout=PATIENCE)
    assert (out, process.returncode) == ("", 0)


def test_an_ignored_signal_stays_ignored(home):
    home.script("hup.py", "import os, signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)")
    done = home.nnwatch("run", "hup.py", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert done.stdout == "True\n"


def test_ctrl_c_in_a_terminal_arrives_exactly_once(home):
    home.script("signalled.py", SIGNALLED)
    pid, terminal = in_a_terminal(home, *NNWATCH, "run", "--headless", "signalled.py")
    before = termios.tcgetattr(terminal)
    read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    text = read_until(terminal, b"SIGINT")
    os.kill(pid, signal.SIGUSR2)
    text += read_until(terminal, b"finished")
    assert text.count(b"SIGINT") == 1
    assert os.waitpid(pid, 0)[1] == 0
    assert termios.tcgetattr(terminal) == before
    os.close(terminal)


def test_the_terminal_stays_the_script_s(home):
    home.script("ask.py", "import os, sys; print(os.isatty(0), os.isatty(1), os.isatty(2), input('name? '))")
    pid, terminal = in_a_terminal(home, *NNWATCH, "run", "--headless", "ask.py")
    read_until(terminal, b"name? ")
    os.write(terminal, b"me\n")
    assert b"True True True me" in read_until(terminal, b"finished")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)


def test_an_untouched_ctrl_c_ends_it_as_without_us(home):
    home.script("wait.py", "import time; print('ready', flush=True); time.sleep(30)")
    pid, terminal = in_a_terminal(home, *NNWATCH, "run", "--headless", "wait.py")
    read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    text = read_until(terminal, b"was ended by SIGINT")
    assert text.count(b"KeyboardInterrupt") == 1
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGINT
    os.close(terminal)


def test_a_ctrl_c_that_a_framework_turns_into_a_status_is_no_crash(home):
    home.script(
        "caught.py",
        "import sys, time\n"
        "try:\n    print('ready', flush=True)\n    time.sleep(30)\n"
        "except KeyboardInterrupt:\n    sys.exit(1)\n",
    )
    process = home.start("run", "caught.py")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    end = history(home.session()).end
    assert (end.status, end.exit, end.cause) == ("failed", 1, "interrupted by Ctrl+C")


def test_ctrl_z_stops_the_whole_job_and_fg_goes_on(home):
    home.gate(51)
    job = shlex.join([*NNWATCH, "run", "--headless", "trainer.py", "150", "0", "close"])
    script = f"set -m; {job}; echo first=$?; until [ -e gate ]; do sleep 0.02; done; fg > /dev/null; echo then=$?"
    pid, terminal = in_a_terminal(home, "bash", "-c", script)
    card = home.running(50)
    os.write(terminal, b"\x1a")
    assert b"first=148" in read_until(terminal, b"first=148")
    until(lambda: stall.waits(card.trainer.pid) == "stopped by a signal")
    home.go_on()
    assert b"then=0" in read_until(terminal, b"then=")
    os.waitpid(pid, 0)
    os.close(terminal)
    assert history(card.session).last_step == 150


def test_a_killed_launcher_takes_the_command_along(home):
    process = home.start("run", "trainer.py", "100000", "0.01", "close")
    card = home.running()
    process.kill()
    process.wait()
    until(lambda: not card.trainer.alive)
    until(lambda: history(card.session).end is not None)
    assert history(card.session).end.status == "lost"
    until(lambda: home.cards()[0].state == "lost")  # the card is written behind the session's last frame


def test_a_broken_standard_error_harms_nothing(home):
    reading, writing = os.pipe()
    os.close(reading)
    done = home.nnwatch("run", "trainer.py", "10", "0", "exit4", stderr=writing)
    os.close(writing)
    assert done.returncode == 4


def test_a_standard_error_that_nobody_reads_harms_nothing(home):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fill(writing)
    os.set_blocking(writing, True)
    done = home.nnwatch("run", "trainer.py", "10", "0", "exit6", stderr=writing)
    os.close(reading)
    os.close(writing)
    assert done.returncode == 6


@pytest.mark.parametrize("asked", [[], ["--compiled-layers", "--budget", "2%"]])
def test_what_is_asked_of_the_probes_comes_to_the_training(home, asked):
    read = "json.load(open(os.environ['PYTHONPATH'].split(os.pathsep)[0] + '/settings.json'))"
    home.script("ask.py", f"import json, os; known = {read}; print(known['compiled_layers'], known['budget'])")
    done = home.nnwatch("run", "--headless", *asked, "ask.py")
    assert done.stdout.split()[:2] == (["True", "0.02"] if asked else ["False", "0.01"])


def test_fail_on_gives_way_to_the_command_s_own_status(home):
    assert home.nnwatch("run", "--fail-on", "error", "trainer.py", "5", "0", "close").returncode == 0
    assert home.nnwatch("run", "--fail-on", "error", "trainer.py", "5", "0", "exit1").returncode == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run"], "nothing to run"),
        (["run", "-m"], "nothing to run"),
        (["run", "--"], "nothing to run"),
        (["run", "missing.py"], "no such script"),
        (["run", "."], "a directory"),
        (["run", "--budget", "much", "trainer.py"], "no share of the step"),
        (["run", "--budget", "nan", "trainer.py"], "no share of the step"),
        (["run", "--fail-on", "bad", "trainer.py"], "invalid choice"),
        (["run", "--on", "bad", "true", "trainer.py"], "no severity"),
        (["run", "--nonsense", "trainer.py"], "unrecognized arguments"),
        (["run", "--python", "/no/python", "trainer.py"], "not an executable"),
        (["run", "--session", ".", "trainer.py"], "a directory"),
        (["run", "--session", "trainer.py", "trainer.py"], "exists already"),
        (["run", "--name", "", "trainer.py"], "printable"),
        (["run", "--", "no-such-command"], "no such command"),
        (["attach", "nothing"], "no run is called"),
        (["report", "nothing.nnw"], "no such session"),
        (["report", "."], "a directory without a run"),
        (["report", "./"], "a directory"),
        (["report", "trainer.py"], "not an nnwatch session"),
        (["replay", "empty.nnw"], "empty file"),
        (["attach", "torn.nnw"], "cut off"),
        (["report", "newer.nnw"], "format version 99"),
        (["replay", "hollow.nnw"], "no run can be read"),
        (["report", "--nonsense"], "unrecognized arguments"),
        (["frobnicate"], "invalid choice"),
        (["explain", "no-such-rule"], "no rule is called"),
        (["report"], "no runs yet"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(home, monkeypatch, capsys, words, says):
    monkeypatch.chdir(home.folder)
    for name in ("XDG_STATE_HOME", "NNWATCH_HOME"):
        monkeypatch.setenv(name, home.env[name])
    (home.folder / "empty.nnw").touch()
    (home.folder / "torn.nnw").write_bytes(PRELUDE[:10])
    (home.folder / "newer.nnw").write_bytes(PRELUDE[:8] + b"\x63\x00" + PRELUDE[10:])
    (home.folder / "hollow.nnw").write_bytes(PRELUDE + b"\xf7nnw garbage that is no frame")
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    [line] = err.splitlines()
    assert line.startswith("nnwatch: ")
    assert says in line


@pytest.mark.parametrize("words", [["report"], ["report", "--json"], ["replay"]], ids=" ".join)
def test_of_a_damaged_recording_all_that_is_whole_is_told_and_exit_code_2(home, words):
    whole = home.folder / "whole.nnw"
    assert home.nnwatch("run", "--headless", "--session", whole, "--", "sh", "-c", "exit 0").returncode == 0
    data = whole.read_bytes()
    at = data.index(MARK, len(data) // 3) + 20  # inside the payload of a frame that others follow
    for name, content, says in (
        ("cut.nnw", data[:-5], "cut off at byte"),
        ("flipped.nnw", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], "damaged in 1 place"),
    ):
        (home.folder / name).write_bytes(content)
        done = home.nnwatch(words[0], name, *words[1:])
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert line.startswith("nnwatch: ")
        assert says in line
        assert "exit 0" in done.stdout
    assert home.nnwatch(words[0], "whole.nnw", *words[1:]).returncode == 0

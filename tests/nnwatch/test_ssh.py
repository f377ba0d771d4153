"""Runs that are followed over the system's ssh."""

import getpass
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from nnwatch.cli import main
from nnwatch.client import SocketSource
from nnwatch.dial import Ssh

from .doors import NNWATCH
from .serving import seen


@pytest.fixture
def remote(home, tmp_path, monkeypatch):
    """A nnwatch for the far side, which has the same home; the command that starts it there."""
    exported = "".join(f"export {name}={shlex.quote(home.env[name])}\n" for name in ("XDG_STATE_HOME", "NNWATCH_HOME"))
    path = tmp_path / "nnwatch-there"
    path.write_text(f'#!/bin/sh\n{exported}exec {shlex.join(NNWATCH)} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def sshd(tmp_path, monkeypatch):
    """An address behind which the system's ssh finds a server of our own: one for each connection, and no port."""
    server = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    ssh = shutil.which("ssh")
    if server is None or ssh is None:
        pytest.skip("no sshd on this machine")
    keys = tmp_path / "ssh"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    shutil.copy(keys / "user.pub", keys / "authorized")
    lines = [
        f'HostKey "{keys}/host"', f'AuthorizedKeysFile "{keys}/authorized"',
        "PidFile none", "StrictModes no", "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no",
    ]  # fmt: skip
    (keys / "server").write_text("\n".join(lines) + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it gives up its rights in there
    lines = [
        f'ProxyCommand {server} -i -f "{keys}/server"', f'IdentityFile "{keys}/user"',
        "StrictHostKeyChecking no", "UserKnownHostsFile /dev/null", "LogLevel ERROR",
    ]  # fmt: skip
    (keys / "client").write_text("\n".join(lines) + "\n")  # ssh reads the user's own configuration not from $HOME
    stand_in_for_ssh(tmp_path, monkeypatch, f'exec {ssh} -F "{keys}/client" "$@"')
    return f"ssh://{getpass.getuser()}@node7:2222"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """An ssh that runs the command here, as the far machine's shell would, after a login message."""
    script = 'for last; do :; done\necho "Welcome to \\367 the cluster"\nSHELL=/bin/sh exec sh -c "$last"'
    stand_in_for_ssh(tmp_path, monkeypatch, script)
    return "ssh://me@far.example"


def stand_in_for_ssh(tmp_path, monkeypatch, script):
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(f"#!/bin/sh\n{script}\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@pytest.mark.parametrize("way", ["sshd", "stand_in"])
def test_a_run_is_followed_over_ssh_and_found_again_when_it_breaks_off(home, remote, way, request):
    address = request.getfixturevalue(way)
    home.gate(41)
    process = home.start("run", "--name", "my run", "trainer.py", "90", "0", "exit4")
    card = home.running(40)
    dial = Ssh(f"{address}/my%20run", remote)
    source = SocketSource(dial)
    source.connect()
    known = seen(source, lambda known: known.last_step == 40)
    assert dial._process is not None
    dial._process.kill()
    home.go_on()
    seen(source, lambda known: known.end, known)
    assert list(known.tracks[0, 0]["loss.train"].steps) == list(range(1, 91))
    assert known.end.exit == 4
    source.close()
    process.communicate()
    # It is over: its file is shown in the same way.
    done = home.nnwatch("attach", f"{address}/{card.id}", "--remote", remote, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stderr) == (0, "")
    assert "failed with exit code 4, step 90" in done.stdout


@pytest.mark.parametrize("way", ["sshd", "stand_in"])
def test_what_ssh_or_the_far_nnwatch_has_to_say_is_the_reason(home, remote, way, request, capsys):
    address = request.getfixturevalue(way)
    assert main(["attach", f"{address}/nothing", "--remote", remote]) == 2
    assert "no run is called 'nothing'" in capsys.readouterr().err
    assert main(["attach", f"{address}/nothing", "--remote", "/no/such/nnwatch"]) == 2
    assert "/no/such/nnwatch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ("tcp://", "no address of a run"),
        ("tcp://host", "no address of a run"),
        ("tcp://host:99999", "no address of a run"),
        ("ssh://", "no address of a run"),
        ("ssh://-oProxyCommand=evil/run", "no address of a run"),
        ("ssh://me:password@host/run", "no address of a run"),
        ("tcp://127.0.0.1:1", "refused"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_in_one_line(capsys, run, says):
    assert main(["attach", run]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_an_ssh_that_is_not_there_is_told(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["attach", "ssh://host/run"]) == 2
    assert "ssh cannot be started" in capsys.readouterr().err

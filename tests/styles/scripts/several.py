"""Many trainings in one command: each script in a fork of this process, which has imported torch already.

    python several.py '[["script.py", ["argument"], "folder"], ...]'

What each prints lies in its folder as `stdout` and `stderr`, its process and exit status in `ended`. The exit status
is 1 when one of them failed.
"""

import json
import os
import runpy
import sys
from pathlib import Path

import torch._dynamo  # noqa: F401 - an optimizer would import it in each of them


class Done:
    failed = False


def begins(job):
    """In a fork True: it is this job's. Here False, when the fork has ended."""
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        Path(job[2], "ended").write_text(f"{pid} {code}")
        if code:
            Done.failed = True
            sys.stderr.write(Path(job[2], "stderr").read_text())
    return not pid


job = next(filter(begins, json.loads(sys.argv[1])), None)
if job is None:
    sys.exit(Done.failed)
script, args, folder = job  # outside of any loop: nnwatch reads the loops around a training
os.chdir(folder)
for stream, name in ((1, "stdout"), (2, "stderr")):
    os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), stream)
sys.argv = [script, *args]
sys.path[0] = os.path.dirname(script)
runpy.run_path(script, run_name="__main__")

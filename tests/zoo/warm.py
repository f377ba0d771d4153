"""Runs ``train.py`` of each folder named on the command line, one after the other, each in a fork of this process.

torch is imported once, which takes longer than most of these trainings. A child leaves this file's loop and runs its
script as the last thing that it does, so it ends as any script ends: with the interpreter's own words and exit status.
"""

import json
import os
import runpy
import sys
import time
from pathlib import Path

import torch._dynamo
import torch.distributions
import torch.optim.swa_utils
import torch.utils.data  # noqa: F401

for folder in sys.argv[1:]:
    began = time.time()
    child = os.fork()
    if child == 0:
        break
    status = os.waitpid(child, 0)[1]
    done = {"pid": child, "began": began, "ended": time.time(), "code": os.waitstatus_to_exitcode(status)}
    Path(folder, "done.json").write_text(json.dumps(done))
else:
    sys.exit()

os.chdir(folder)
sys.argv[:] = ["train.py"]
runpy.run_path("train.py", run_name="__main__")

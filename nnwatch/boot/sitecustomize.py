"""Runs at the start of every Python process of a watched job and waits for torch; nothing else.

Copied into the boot folder that `nnwatch run` puts first on PYTHONPATH, beside `settings.json` and a link to the
package. Only `sys` and `os` are imported before torch is (importlib.util alone would cost each process 57 ms), and
nothing here may fail, print, or refuse to parse on an old Python 3.
"""

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Loader:
    """The real loader of torch, and then the probes."""

    def __init__(self, loader):
        self.loader = loader

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        start(module)


class Finder:
    """Asks the other finders for torch and puts Loader around what they found. Looks at no other name."""

    def __init__(self):
        self.asking = False

    def find_spec(self, name, path=None, target=None):
        if name != "torch" or self.asking:
            return None
        self.asking = True
        try:
            for finder in list(sys.meta_path):
                spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
                if spec is not None:
                    if spec.loader is not None:
                        spec.loader = Loader(spec.loader)
                    return spec
        finally:
            self.asking = False
        return None


def start(torch):
    """torch was imported: put the probes on it and tell the monitor."""
    try:
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
        import json

        with open(os.path.join(FOLDER, "settings.json")) as file:
            settings = json.load(file)
        outpost(settings)
        error = None
        try:
            probes().install(settings)
        except Exception as problem:
            error = "%s: %s" % (type(problem).__name__, problem)  # noqa: UP031 - parses on any Python 3
        hello(settings["job"], torch, error)
        permit(settings["job"])
    except Exception:
        pass


def probes():
    """The package `nnwatch.probes` beside this file, whatever else in this process is called nnwatch.

    A module of the user's own with that name is neither shadowed by ours nor in its way: ours then steps out
    of `sys.modules` again.
    """
    import importlib
    import importlib.machinery
    import importlib.util

    place = os.path.join(FOLDER, "nnwatch", "__init__.py")

    def ours(path):
        return path is not None and os.path.realpath(path) == os.path.realpath(place)

    def named():
        return [name for name in sys.modules if name == "nnwatch" or name.startswith("nnwatch.")]

    present = sys.modules.get("nnwatch")
    if present is not None and ours(getattr(present, "__file__", None)):
        return importlib.import_module("nnwatch.probes")
    found = importlib.machinery.PathFinder.find_spec("nnwatch", sys.path)
    theirs = dict((name, sys.modules.pop(name)) for name in named())  # noqa: C402
    try:
        spec = importlib.util.spec_from_file_location(
            "nnwatch", place, submodule_search_locations=[os.path.dirname(place)]
        )
        package = sys.modules["nnwatch"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(package)
        return importlib.import_module("nnwatch.probes")
    finally:
        if theirs or found is None or not ours(found.origin):
            for name in named():
                del sys.modules[name]
            sys.modules.update(theirs)


def outpost(settings):
    """The command has brought this process to another node, where nobody of ours is yet: have a monitor started."""
    here = os.uname()[1]
    if settings.get("host", here) == here or os.path.exists(settings["rings"][0]):
        return
    try:
        import subprocess

        env = dict(os.environ)
        parts = env.get("PYTHONPATH", "").split(os.pathsep)
        env["PYTHONPATH"] = os.pathsep.join(part for part in parts if part != FOLDER)
        words = [settings["nnwatch"], "-m", "nnwatch.nodes.outpost", settings["job"], str(os.getpid())]
        with open(os.path.join(settings["job"], "launch.log"), "ab") as log, open(os.devnull) as nothing:
            subprocess.call(words, stdin=nothing, stdout=log, stderr=log, cwd=settings["job"], env=env, timeout=30)
    except Exception:
        pass


def hello(job, torch, error):
    """Leave JOB/hello/PID-START: this process imported torch, and whether the probes are on it."""
    import json

    with open("/proc/self/stat", "rb") as file:
        ticks = file.read().rsplit(b")", 1)[1].split()[19].decode()
    folder = os.path.join(job, "hello")
    if not os.path.isdir(folder):
        os.makedirs(folder, 0o700)
    path = os.path.join(folder, str(os.getpid()) + "-" + ticks)
    text = json.dumps(
        {
            "pid": os.getpid(),
            "start": int(ticks),
            "torch": str(torch.__version__),
            "python": sys.version.split()[0],
            "executable": sys.executable,
            "error": error,
        }
    )
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def permit(job):
    """Where a process may be read by its forebears only (Yama), let the launcher and those it starts read this one:
    the monitor tells where a training stands still."""
    with open("/proc/sys/kernel/yama/ptrace_scope") as file:
        if file.read().strip() != "1":
            return
    import ctypes
    import json

    with open(os.path.join(job, "job.json")) as file:
        launcher = json.load(file)["launcher"]["pid"]
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(launcher), 0, 0, 0)  # PR_SET_PTRACER


def chain():
    """Run the sitecustomize that this file hides, if there is one; its errors are the user's to see."""
    kept, mine = sys.path[:], sys.modules.pop("sitecustomize", None)
    sys.path[:] = [entry for entry in kept if os.path.abspath(entry or ".") != FOLDER]
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", None) != "sitecustomize":
            raise
        if mine is not None:
            sys.modules["sitecustomize"] = mine
    finally:
        missing = [entry for entry in kept if entry not in sys.path]
        sys.path[:0] = missing


if sys.version_info >= (3, 10) and os.environ.get("NNWATCH_DISABLE") != "1":
    sys.meta_path.insert(0, Finder())
chain()

"""The house stands: who imports whom, what each process never loads, and that every folder is in the wheel."""

import ast
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
ROOMS = {"advisor": ROOT / "advisor", "probes": ROOT / "probes", "tui": ROOT / "tui"}
CORE = {
    "metric",
    "fence",
    "ring",
    "trial",
    "printable",
    "seal",
    "retold",
    "frame",
    "squeeze",
    "overview",
    "archive",
    "chapter",
    "parser",
    "session",
    "scratch",
    "series",
    "history",
    "autopsies",
}
TRAINER_CORE = {"metric", "fence", "ring", "trial"}
MAY = {  # what else of nnwatch a room may import, by first name after the package
    "core": CORE,
    "probes": TRAINER_CORE,
    "advisor": CORE,
    "tui": CORE | {"advisor"},
}
LIBRARIES = {  # what else may be imported besides the standard library
    "metric": set(),
    "fence": set(),
    "ring": set(),
    "frame": {"msgspec"},
    "retold": {"msgspec"},
    "seal": set(),
    "autopsies": set(),
    "archive": set(),
    "chapter": {"numpy"},
    "history": {"numpy"},
    "overview": {"numpy"},
    "scratch": {"numpy"},
    "series": {"numpy"},
    "parser": set(),
    "printable": set(),
    "session": set(),
    "squeeze": {"numpy"},
    "trial": set(),
    "probes": {"numpy", "torch"},
    "advisor": {"numpy", "tomli"},
    "tui": {"numpy", "textual", "rich"},
}


def imports(path: Path, package: str):
    """Absolute dotted names that a file imports, whether at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module or ""]))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def files() -> list[tuple[str, str, Path, str]]:
    """(room, key of LIBRARIES, file, package) of every file with rules about its imports."""
    return [*_files()]


def _files():
    for name in sorted(CORE):
        yield "core", name, ROOT / "nnwatch" / f"{name}.py", "nnwatch"
    for room, folder in ROOMS.items():
        for path in sorted(folder.rglob("*.py")):
            package = ".".join(["nnwatch", room, *path.parent.relative_to(folder).parts])
            yield room, room, path, package


@pytest.mark.parametrize(("room", "name", "path", "package"), files(), ids=lambda x: str(getattr(x, "name", x)))
def test_imports_go_one_way(room, name, path, package):
    for module in imports(path, package):
        top, *rest = module.split(".")
        if top == "nnwatch":
            allowed = MAY[room] | ({room} if room in ROOMS else set())
            assert not rest or rest[0] in allowed | {"__version__"}, f"{path} imports {module}"
        elif top not in sys.stdlib_module_names:
            assert top in LIBRARIES[name], f"{path} imports {module}"


def loaded_by(code: str) -> set[str]:
    text = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout
    return {module.split(".")[0] for module in text.split()}


@pytest.mark.parametrize(
    ("code", "never"),
    [
        ("import nnwatch.probes, nnwatch.ring", {"textual", "rich", "msgspec", "psutil", "scipy"}),
        ("import nnwatch, nnwatch.inside", {"torch", "textual", "numpy", "msgspec", "psutil", "pynvml"}),
        ("import nnwatch.launch", {"torch", "textual", "numpy", "msgspec", "psutil", "pynvml"}),
        ("import nnwatch.monitor", {"torch", "textual"}),
        ("import nnwatch.advisor.engine", {"torch", "textual", "psutil"}),
        ("import nnwatch.tui.app", {"torch", "psutil", "pynvml"}),
        ("import nnwatch.cli", {"torch", "textual", "numpy", "psutil"}),
    ],
)  # fmt: skip
def test_no_process_loads_what_it_must_not(code, never):
    assert not loaded_by(code) & never


def test_the_packages_are_the_folders():
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = set(tomllib.load(file)["tool"]["setuptools"]["packages"])
    found = {"nnwatch", "nnwatch.boot"}
    found |= {f"nnwatch.{init.parent.name}" for init in (ROOT / "nnwatch").glob("[!_]*/__init__.py")}
    for room, folder in ROOMS.items():
        for init in folder.rglob("__init__.py"):
            found.add(".".join(["nnwatch", room, *init.parent.relative_to(folder).parts]))
        for path in folder.rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), f"{path.parent} is no package: it would miss in the wheel"
    assert declared == found


def test_the_wheel_holds_every_file_of_the_rooms(tmp_path):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        target = tmp_path / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target, follow_symlinks=False)
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(tmp_path / "source"),
    ]
    subprocess.run(build, capture_output=True, check=True)
    [wheel] = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    rooms = [name for name in tracked if name.split("/")[0] in ROOMS and not name.endswith(("README.md", ".c", ".h"))]
    doors = [name for name in tracked if name.startswith("nnwatch/") and not name.endswith("README.md")]
    missing = {f"nnwatch/{name}" for name in rooms} | {name for name in doors if not (ROOT / name).is_symlink()}
    assert not missing - held
    headers = Path(sysconfig.get_path("include"), "Python.h")
    assert ("nnwatch/probes/_kernel.abi3.so" in held) == (shutil.which("cc") is not None and headers.exists())


def test_the_rooms_are_linked_from_the_package():
    for room in ROOMS:
        link = ROOT / "nnwatch" / room
        assert link.is_symlink()
        assert str(link.readlink()) == f"../{room}"


def test_the_boot_file_parses_on_any_python_3():
    text = (ROOT / "nnwatch" / "boot" / "sitecustomize.py").read_text()
    ast.parse(text, feature_version=(3, 4))


def test_the_trainer_side_parses_on_python_3_10():
    for path in [*ROOMS["probes"].rglob("*.py"), *(ROOT / "nnwatch" / f"{name}.py" for name in TRAINER_CORE)]:
        ast.parse(path.read_text(), feature_version=(3, 10))


def test_the_readme_test_command_is_what_ci_runs():
    assert "make test" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")

"""Other systems and other Pythons than the one that runs the tests."""

import subprocess
import sys

import stages
from tests.checkout import ROOT

MODULES = [
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for folder in ("models", "study", "stages", "experiments")
    for path in sorted(ROOT.glob(f"{folder}/**/*.py"))
    # Ray's clusters are of Linux machines.
    if path.name != "__init__.py" and "cluster" not in path.parts
]
LACKING = {
    "signal": ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGXFSZ", "pthread_sigmask", "alarm"),
    "os": (
        "getppid",
        "fork",
        "killpg",
        "getpgid",
        "setsid",
        "getuid",
        "sched_getaffinity",
        "uname",
    ),
}
"""By module, names that Windows does not have, and os.getppid, which names a shell there."""
MODULES_LACKING = ("fcntl", "resource", "pwd", "grp", "termios")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, encoding="utf-8"
    )


def test_project_imports_without_what_windows_lacks() -> None:
    code = f"""
import importlib, os, signal, sys
# These have code for Windows.
for package in {stages.NEEDED}:
    importlib.import_module(package)
import concurrent.futures.process, multiprocessing.connection
for module in (signal, os):
    for name in {LACKING}[module.__name__]:
        delattr(module, name)
for name in {MODULES_LACKING}:
    sys.modules[name] = None
for name in {MODULES}:
    importlib.import_module(name)
print("imported")
"""
    done = python("-c", code)
    assert done.stdout == "imported\n", done.stderr


def test_python_without_the_packages_is_told_of_each() -> None:
    # -S leaves out site-packages.
    done = python("-S", "-m", "stages.train", "model_1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert [name for name in (*stages.NEEDED, sys.executable) if name not in done.stderr] == []
    assert "`make repro`" in done.stderr


def test_older_python_is_refused() -> None:
    done = python("-c", "import sys; sys.version_info = (3, 10, 9); import stages")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "3.11" in done.stderr
    assert "`make repro`" in done.stderr

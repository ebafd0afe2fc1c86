"""Makes an application directory runnable: `build.py`, with its plan as JSON in the variable PLAN.

The result is named by its content, so it is made once and shared: `<cache>/builds/<key>` with a copy of the source and
a link to its Python environment, or with `dist`; or with that link alone. The mark `.done` is written last. Prints the
key.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bounded import run_bounded  # noqa: E402

LIMIT_SECONDS = 900
LOG_LINES = 20
IGNORED = shutil.ignore_patterns(".git", "node_modules", ".venv", "venv", "dist", "__pycache__", "*.pyc", ".pytest_cache")


def main():
    plan = json.loads(os.environ["PLAN"])
    # The account that runs the services reads it, also when root builds it.
    os.umask(0o022)
    target = plan["target"]
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(f"{target}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(f"{target}/.done"):
            shutil.rmtree(target, ignore_errors=True)
            copy_source(plan)
            BUILDERS[plan["kind"]](plan)
            with open(f"{target}/.done", "w", encoding="ascii") as done:
                done.write(f"{time.time()}\n")
    print(plan["key"])


def copy_source(plan):
    target = plan["target"]
    if plan["kind"] == "environment":
        os.makedirs(target)
        return
    copy = f"{target}/context" if plan["kind"] == "image" else target
    shutil.copytree(plan["source"], copy, ignore=IGNORED, symlinks=True)


def build_python(plan):
    target = plan["target"]
    if os.path.exists(f"{target}/requirements.txt"):
        link_environment(plan, target)
    else:
        make_environment(plan["python"], f"{target}/.venv", ["."], target)


def link_environment(plan, source):
    target = plan["target"]
    requirements = f"{source}/requirements.txt"
    with open(requirements, "rb") as file:
        digest = hashlib.sha256(file.read() + plan["python"].encode()).hexdigest()[:12]
    environment = os.path.join(os.path.dirname(os.path.dirname(target)), "environments", digest)
    os.makedirs(os.path.dirname(environment), exist_ok=True)
    # Applications with the same requirements share one environment, and an edit of the source makes none anew.
    with open(f"{environment}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(f"{environment}/.done"):
            shutil.rmtree(environment, ignore_errors=True)
            make_environment(plan["python"], environment, ["-r", requirements], source)
            with open(f"{environment}/.done", "w", encoding="ascii") as done:
                done.write(f"{time.time()}\n")
    os.symlink(environment, f"{target}/.venv")


def make_environment(python, environment, packages, cwd):
    run([python, "-m", "venv", environment], cwd)
    pip = [f"{environment}/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    run([*pip, *packages], cwd)
    run([f"{environment}/bin/python", "-m", "compileall", "-q", "-j", "2", environment], cwd)


def build_node(plan):
    target = plan["target"]
    run(["npm", "ci", "--no-audit", "--no-fund"], target)
    run(["npm", "run", "build"], target)
    if not os.path.isdir(f"{target}/dist"):
        sys.exit(f"{plan['source']}: expected `npm run build` to write dist, got none. Fix: set the build's output to dist")
    shutil.rmtree(f"{target}/node_modules", ignore_errors=True)


def prepare_image(plan):
    """The Docker engine builds it; a directory with a Dockerfile of its own brings that along."""
    if plan["dockerfile"]:
        with open(f"{plan['target']}/context/Dockerfile", "w", encoding="utf-8") as file:
            file.write(plan["dockerfile"])


def run(argv, cwd):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "PLAN"))}
    with tempfile.TemporaryFile() as output:
        code = run_bounded(argv, cwd, environment, output, LIMIT_SECONDS)
        output.seek(0)
        lines = "".join(f"\n    {line}" for line in output.read().decode(errors="replace").splitlines()[-LOG_LINES:])
    if code is None:
        sys.exit(f"{' '.join(argv)}: expected it to end within {LIMIT_SECONDS} s, got: it still ran{lines}")
    if code != 0:
        sys.exit(f"{' '.join(argv)}: expected success, got exit code {code}:{lines}")


def build_environment(plan):
    link_environment(plan, plan["source"])


BUILDERS = {"python": build_python, "environment": build_environment, "node": build_node, "image": prepare_image}

if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"{error.filename or 'host'}: expected it to work, got: {error.strerror or error}")

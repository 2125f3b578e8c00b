"""Certificates for tests of TLS, good and bad, made with the openssl command."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OPENSSL_TIMEOUT_S = 20.0
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_CONFIGURATION = """\
[ca]
default_ca = ours
[ours]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""
_EXTENSIONS = """\
basicConstraints=critical,CA:FALSE
extendedKeyUsage=serverAuth
subjectAltName={names}
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


def has_openssl() -> bool:
    """Whether certificates can be made here."""
    return shutil.which("openssl") is not None


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates for servers; `file` is what clients trust."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.file = folder / "ca.pem"
        self._folder = folder
        (folder / "index.txt").touch()
        (folder / "serial").write_text("1000\n")
        (folder / "ca.cnf").write_text(_CONFIGURATION.format(folder=folder))
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", folder / "ca.key", "-out", self.file),
            *("-days", "3650", "-subj", f"/CN={folder.name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def certificate(self, name: str, names: str, *, start: str = "20200101", end: str = "20990101") -> Certificate:
        """For the server of these subjectAltNames, such as `IP:127.0.0.1`; valid between two days."""
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        _openssl("req", "-new", *_KEY, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
        extensions.write_text(_EXTENSIONS.format(names=names))
        _openssl(
            *(
                "ca",
                "-batch",
                "-notext",
                "-config",
                self._folder / "ca.cnf",
                "-in",
                request,
                "-out",
                made.certificate,
            ),
            *("-extfile", extensions, "-startdate", f"{start}000000Z", "-enddate", f"{end}000000Z"),
        )
        return made


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=OPENSSL_TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr

"""Certificates that tests make, with openssl."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NEW = "-newkey rsa:2048 -nodes"


@dataclass
class Authority:
    """One that signs certificates, and whose own stands in a file."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """What trusts it."""
        return self.folder / "authority.crt"

    def make(self) -> "Authority":
        """Begin."""
        openssl(self.folder, f"req -x509 {NEW} -subj /CN=authority -keyout authority.key -out authority.crt")
        return self

    def sign(self, name: str) -> tuple[Path, Path]:
        """The certificate and the key of a server of this name."""
        openssl(self.folder, f"req {NEW} -subj /CN={name} -keyout {name}.key -out {name}.csr")
        (self.folder / "names").write_text(f"subjectAltName=DNS:{name}")
        signed = f"-in {name}.csr -extfile names -out {name}.crt"
        openssl(self.folder, f"x509 -req -CA authority.crt -CAkey authority.key -CAcreateserial {signed}")
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


def openssl(folder: Path, arguments: str) -> None:
    """Run it in a folder."""
    program = shutil.which("openssl")
    assert program
    subprocess.run([program, *arguments.split()], cwd=folder, check=True, capture_output=True)

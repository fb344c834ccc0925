"""Browsers that trust a certificate authority, as after its installation by a user."""

import shutil
import subprocess
from pathlib import Path

CERTUTIL = "certutil"
LIMIT = 30.0
"""Timeout in seconds of the command."""


def missing() -> str | None:
    """Return a description of the missing program; None if it is installed."""
    return None if shutil.which(CERTUTIL) else "certutil (Debian's package libnss3-tools) is not installed"


def trust(root: Path, database: Path) -> None:
    """Add the certificate in the PEM file `root` to the certificate database of a browser, which is a folder.

    Firefox has it in its profile. Chromium on Linux has it in `.pki/nssdb` of the home directory.
    """
    database.mkdir(parents=True, exist_ok=True)
    command = [CERTUTIL, "-A", "-d", f"sql:{database}", "-n", "tests", "-t", "C,,", "-i", str(root)]
    subprocess.run(command, check=True, timeout=LIMIT)

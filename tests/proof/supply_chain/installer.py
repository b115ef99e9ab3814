"""What compares the hashes in the end: an installer, here with a wheel that is made on the spot."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_METADATA = "Metadata-Version: 2.1\nName: k9-nothing\nVersion: 1.0\n"
_WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def refusals_of_installer() -> list[bool]:
    """Whether pip refused the wheel with a wrong hash. With the right one it has to take it.

    Raises RuntimeError where it does not, as nothing would be shown then.
    """
    with tempfile.TemporaryDirectory() as folder:
        wheel = _wheel(Path(folder))
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if not _takes(wheel, digest):
            raise RuntimeError("pip refuses a wheel with the right hash")
        return [not _takes(wheel, digest[::-1])]


def _wheel(folder: Path) -> Path:
    path = folder / "k9_nothing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("k9_nothing-1.0.dist-info/METADATA", _METADATA)
        archive.writestr("k9_nothing-1.0.dist-info/WHEEL", _WHEEL)
        archive.writestr("k9_nothing-1.0.dist-info/RECORD", "")
    return path


def _takes(wheel: Path, digest: str) -> bool:
    lock = wheel.with_name("lock.txt")
    lock.write_text(f"k9-nothing==1.0 --hash=sha256:{digest}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "install", "--dry-run"]
    options = ["--isolated", "--no-index", "--find-links", str(wheel.parent), "--require-hashes", "--no-deps"]
    done = subprocess.run([*pip, *options, "-r", str(lock)], capture_output=True, text=True, check=False)
    return done.returncode == 0

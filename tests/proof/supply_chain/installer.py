"""What compares the hashes in the end: an installer, here with a wheel that is made on the spot."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_METADATA = "Metadata-Version: 2.1\nName: k9-nothing\nVersion: 1.0\n"
_WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_REFUSAL = "DO NOT MATCH THE HASHES"
"""pip's words for this and for nothing else."""


def installer_refuses() -> bool:
    """Whether pip refuses a wheel for its hash, which is not the locked one."""
    with tempfile.TemporaryDirectory() as folder:
        _make_wheel(Path(folder))
        lock = Path(folder, "lock.txt")
        lock.write_text(f"k9-nothing==1.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "install", "--dry-run"]
        options = ["--isolated", "--no-index", "--find-links", folder, "--require-hashes", "--no-deps"]
        done = subprocess.run([*pip, *options, "-r", str(lock)], capture_output=True, text=True, check=False)
    return done.returncode != 0 and _REFUSAL in done.stderr


def _make_wheel(folder: Path) -> None:
    with zipfile.ZipFile(folder / "k9_nothing-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("k9_nothing-1.0.dist-info/METADATA", _METADATA)
        archive.writestr("k9_nothing-1.0.dist-info/WHEEL", _WHEEL)
        archive.writestr("k9_nothing-1.0.dist-info/RECORD", "")

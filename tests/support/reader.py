"""Where a page's code runs: a folder like the project's, and an API with a user's token."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scripts.local.folder import PROJECT
from tests.support.markdown import Page

NODE_MODULES = PROJECT / ".tools" / "node_modules"

_DOCUMENTED_BASE = "localhost:3001"
_SECONDS = 60
_LINKED = ("src", "scripts", "docs", "clients", "requirements", "infrastructure", ".venv", ".venv-store", ".tools")


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a page's code runs: a folder, and an API with a user's token."""

    folder: Path
    base: str
    token: str
    local: Path
    """The stack's own folder, `.local` for a reader."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "BASE": self.base,
            "TOKEN": self.token,
            "K9_LOCAL_DIR": str(self.local),
            # A block that installs something has to be marked: the environments are the tests' own.
            "PIP_NO_INDEX": "1",
            "npm_config_offline": "true",
        }

    def prepare(self) -> None:
        """Makes the folder look like the project's own after `dev.sh` and the guide's `npm install`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in _LINKED:
            if (PROJECT / name).exists():
                (self.folder / name).symlink_to(PROJECT / name)
        (self.folder / ".local").symlink_to(self.local)
        (self.folder / "node_modules").symlink_to(NODE_MODULES)

    def placed(self, text: str) -> str:
        """The text with the address of this API in place of the one that pages have."""
        return text.replace(_DOCUMENTED_BASE, urlsplit(self.base).netloc)

    def write_files(self, page: Page) -> None:
        for block in page.blocks:
            if block.is_marked("file") and block.mark:
                path = self.folder / block.mark.value
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.placed(block.text), encoding="utf-8")

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

"""Where the laptop stack keeps its things: one folder, `.local/` of the project unless K9_LOCAL_DIR names another."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.local.failure import LocalStackError

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """The paths of one laptop stack. Only its owner may read them: they hold tokens and signing keys."""

    root: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "LocalFolder":
        return cls(Path(environ.get("K9_LOCAL_DIR") or PROJECT / ".local").absolute())

    @property
    def state(self) -> Path:
        """What the store saved when it last stopped."""
        return self.root / "state"

    @property
    def previous(self) -> Path:
        """The last state that was found whole, as of the start before."""
        return self.root / "state.previous"

    @property
    def tokens(self) -> Path:
        return self.root / "tokens"

    @property
    def variables(self) -> Path:
        """The handlers' environment, for a shell to source."""
        return self.root / "env"

    @property
    def store_log(self) -> Path:
        return self.root / "store.log"

    @property
    def store_lock(self) -> Path:
        """Locked by a living store, and names its process."""
        return self.root / "store.lock"

    @property
    def stack_lock(self) -> Path:
        """Locked by a running dev.sh, and says where it serves."""
        return self.root / "stack.lock"

    @property
    def scratch(self) -> Path:
        return self.root / "tmp"

    def create(self) -> None:
        try:
            for path in (self.root, self.scratch, self.tokens):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise LocalStackError(
                f"The folder {self.root} cannot be made ({exc.strerror}). "
                "Make it writable, or set K9_LOCAL_DIR to another folder."
            ) from exc
        if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
            raise LocalStackError(
                f"The folder {self.root} cannot be read and written. "
                f"Run `chmod u+rwx {self.root}`, or set K9_LOCAL_DIR to another folder."
            )

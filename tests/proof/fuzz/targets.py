"""Every target by its name, and the inputs that are kept for it."""

from functools import lru_cache
from pathlib import Path

from .cursors import CURSORS
from .filters import FILTERS
from .json_texts import JSON_TEXTS
from .key_sets import KEY_SETS
from .manifests import MANIFESTS
from .matrices import MATRICES
from .requests import REQUESTS
from .segments import SEGMENTS
from .target import from_file
from .tokens import CLAIMS, VALUES

_FOLDER = Path(__file__).parent
KEPT = _FOLDER.parents[2] / ".local" / "fuzz"
REACHED = KEPT / "reached"
"""Where a whole run leaves the inputs that reached something new, a folder for each target."""

_ALL = (FILTERS, SEGMENTS, MANIFESTS, JSON_TEXTS, KEY_SETS, REQUESTS, CLAIMS, VALUES, CURSORS, MATRICES)

TARGETS = {target.name: target for target in _ALL}


def found(name: str) -> list[Path]:
    """The inputs that found something, of this target: each file is one, called by what it is."""
    return sorted(file for file in (_FOLDER / "corpus" / name).glob("*") if file.is_file())


@lru_cache
def inputs(name: str) -> tuple[bytes, ...]:
    """All inputs to begin with: those that the target makes, those that reach far, and those that found something."""
    reaching = _FOLDER / "seeds" / f"{name}.txt"
    kept = [file.read_bytes() for file in found(name)]
    return tuple(dict.fromkeys([*TARGETS[name].seeds(), *(from_file(reaching) if reaching.exists() else ()), *kept]))

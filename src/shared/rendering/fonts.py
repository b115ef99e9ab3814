"""The fonts of a PDF, and which characters they can show."""

import sys
from pathlib import Path

REGULAR, BOLD, EAST_ASIAN = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DroidSansFallback.ttf"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_FOLDER = "k9_fonts"
_WHERE_THE_LAYER_IS_BUILT = Path(__file__).parents[3] / "infrastructure" / "export"


def font_path(name: str) -> Path:
    """The file of a font: beside the layer's packages, or in the repository. Raises FileNotFoundError."""
    for root in (*map(Path, sys.path), _WHERE_THE_LAYER_IS_BUILT):
        path = root / _FOLDER / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"The font {name} is in no folder {_FOLDER} of sys.path: attach the export layer.")

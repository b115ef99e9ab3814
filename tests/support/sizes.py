"""How large the tests that take longest are: as a rule a part of what they can be, so that a change is judged soon."""

import os

IS_FULL_SIZE = os.environ.get("K9_FULL_SIZE") == "1"


def size(full: int, usual: int) -> int:
    """`full` where K9_FULL_SIZE=1 asks for it."""
    return full if IS_FULL_SIZE else usual

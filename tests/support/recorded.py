"""API Gateway events as they arrive, kept as JSON in tests/events."""

import json
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[1] / "events"


def recorded_event(name: str, **changes: object) -> dict[str, Any]:
    """The event of that name, with top-level members replaced."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return {**event, **changes}

"""GET /health"""

from shared import __version__
from shared.database.health import failing_tables
from shared.database.manager import default_manager
from shared.errors import FieldError, Unavailable
from shared.http import endpoint
from shared.models.health import Health


@endpoint("GET", "/health", is_open=True)
def handler() -> Health:
    """The version, if every table answers; 503 names those that do not."""
    failing = failing_tables(default_manager())
    if failing:
        faults = [FieldError(f"/tables/{subject}", "does not answer") for subject in failing]
        cause = next(iter(failing.values()))
        raise Unavailable(f"K9 API {__version__}: not every table answers.", errors=faults) from cause
    return Health(status="ok", version=__version__)

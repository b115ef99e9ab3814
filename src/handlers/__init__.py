"""One Lambda handler per route, one file each."""

import importlib
import pkgutil


def load_all() -> None:
    """Import every handler, so that `shared.http.ENDPOINTS` lists every route."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)

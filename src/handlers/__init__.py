"""One Lambda handler per route, one file each, and what those of a subject share; the worker alone has no route."""

import gc

# Importing makes some 100,000 objects that all stay; at the usual threshold the collector goes through them again and
# again and finds nothing.
gc.set_threshold(50_000, 20, 20)


def load_all() -> None:
    """Import every handler, so that `shared.http.ENDPOINTS` lists every route."""
    import importlib  # a deployed function imports one handler and never comes here
    import pkgutil

    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)

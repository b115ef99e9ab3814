"""One Lambda handler per route, one file each."""


def load_all() -> None:
    """Import every handler, so that `shared.http.ENDPOINTS` lists every route."""
    import importlib  # a deployed function imports one handler and never comes here
    import pkgutil

    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)

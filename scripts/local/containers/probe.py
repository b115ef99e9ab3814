"""Asks the container engine about itself, as a program: JSON on stdout, or status 1 and one line on stderr.

It runs in the environment of requirements/deploy.txt and asks with the library that sam itself uses, so that both find
the same engine (DOCKER_HOST, or the default socket).
"""

import json
import sys
from typing import Any

import docker  # type: ignore[import-untyped]


def main() -> int:
    try:
        report = _report(docker.from_env(timeout=10))
    except docker.errors.DockerException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    json.dump(report, sys.stdout)
    return 0


def _report(engine: Any) -> dict[str, Any]:
    info = engine.info()
    addresses = engine.networks.get("bridge").attrs["IPAM"]["Config"] or [{}]
    return {
        "system": info["OperatingSystem"],
        "architecture": info["Architecture"],
        "security": info.get("SecurityOptions") or [],
        "gateway": addresses[0].get("Gateway"),
        "images": [tag for image in engine.images.list() for tag in image.tags],
    }


if __name__ == "__main__":
    sys.exit(main())

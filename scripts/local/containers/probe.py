"""Asks the container engine about itself, or has it fetch an image; as a program, with status 1 where it cannot.

    python probe.py                what there is, as JSON
    python probe.py pull IMAGE

It runs in the environment of requirements/deploy.txt and asks with the library that sam itself uses, so that both find
the same engine (DOCKER_HOST, or the default socket).
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import docker  # type: ignore[import-untyped]


def main(arguments: Sequence[str]) -> int:
    try:
        engine = docker.from_env(timeout=10)
        if arguments:
            engine.images.pull(arguments[1])
        else:
            json.dump(_report(engine), sys.stdout)
    except docker.errors.DockerException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _report(engine: Any) -> dict[str, Any]:
    info = engine.info()
    return {
        "system": info["OperatingSystem"],
        "architecture": info["Architecture"],
        "security": info.get("SecurityOptions") or [],
        "networks": engine.networks.get("bridge").attrs["IPAM"]["Config"] or [],
        "images": [tag for image in engine.images.list() for tag in image.tags],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

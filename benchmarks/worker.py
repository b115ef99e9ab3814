"""A warm process with one contender: answers `requests` on stdin with the CPU they took, on stdout."""

import gc
import json
import os
import sys
import time

from benchmarks.stage import Context, divert_stdout, load_handler, set_up


def run(name: str, scene_path: str) -> None:
    results = divert_stdout()
    event = set_up(scene_path)
    handler, context = load_handler(name), Context()
    first = handler(event, context)
    _report(results, json.dumps({"status": first["statusCode"], "body": first.get("body")}))
    gc.collect()
    for line in sys.stdin:
        requests = int(line)
        started = time.process_time_ns()
        for _ in range(requests):
            handler(event, context)
        _report(results, str((time.process_time_ns() - started) / requests / 1000))


def _report(results: int, line: str) -> None:
    os.write(results, line.encode() + b"\n")

"""A fresh process with one contender: imports the handler, or imports it and answers, and is gone."""

import gc
import os

from benchmarks.stage import Context, divert_stdout, load_handler, set_up


def import_only(name: str, scene_path: str) -> None:
    set_up(scene_path)
    load_handler(name)
    os._exit(0)


def answer_once(name: str, scene_path: str) -> None:
    event = set_up(scene_path)
    divert_stdout()
    status = load_handler(name)(event, Context())["statusCode"]
    os._exit(0 if status == 200 else 1)


def answer(name: str, scene_path: str, requests: int) -> None:
    """Many times, without the garbage collector."""
    gc.disable()
    event = set_up(scene_path)
    divert_stdout()
    handler, context = load_handler(name), Context()
    statuses = {handler(event, context)["statusCode"] for _ in range(requests)}
    os._exit(0 if statuses == {200} else 1)


def nothing() -> None:
    """The interpreter alone."""
    os._exit(0)

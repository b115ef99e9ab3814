"""The code of a page, run as a reader would run it: in a folder like the project's, against a running laptop stack.

The blocks of one language are one program, in the order of the page, so that a block may use what one before it made.
A `curl` that is refused ends a shell's program, unless the page shows what it prints.
"""

import http.client
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from tests.support.block_checks import check
from tests.support.elided import fits_json, fits_text
from tests.support.markdown import Block, Page
from tests.support.reader import Scene

SHELLS = ("sh", "bash")
DIAGRAMS = ("mermaid",)

_MARKER = "@@ block {} @@"
_MARKERS = re.compile(r"@@ block (\d+) @@\n?")
_SECONDS = 60
_PRELUDE = 'set -euo pipefail\ncurl() { command curl -sS ${STRICT:+--fail-with-body} "$@"; }\n'


class NotAsShown(AssertionError):
    """A block does not work, or not as the page says. The message begins with its place."""


def treatment(block: Block) -> str | None:
    """What is done with a block, in a word, or why nothing is; None for one that would be overlooked."""
    if block.mark:
        return f"not run: {block.mark.value}" if block.mark.kind == "not run" else _WORDS[block.mark.kind]
    if block.language in (*SHELLS, "python", "js", "http"):
        return "run"
    if block.language == "json":
        return "checked"
    return "shown" if block.language in DIAGRAMS else None


_WORDS = {
    "output": "compared",
    "file": "run",
    "app": "run",
    "body": "run",
    "answer": "checked",
    "problem": "checked",
    "filter": "checked",
    "mapping": "checked",
}


def run_page(page: Page, scene: Scene) -> None:
    """Runs and checks every block of a page. Raises NotAsShown for the first that is not as the page says."""
    scene.prepare()
    scene.write_files(page)
    said: dict[Block, str] = {}
    for family in _families(page):
        said |= family(page, scene)
    for block in page.blocks:
        try:
            check(block, scene)
        except (ValueError, KeyError) as error:
            raise NotAsShown(f"{block.place}: {error}") from error
    _compare(page, said, scene)


_Family = Callable[[Page, Scene], dict[Block, str]]
"""Runs the blocks of one kind on a page, and tells what each printed."""


def _families(page: Page) -> list[_Family]:
    """Those of the page's programs, in the order in which they begin on it."""
    found: list[_Family] = []
    for block in page.blocks:
        family = _family(block)
        if family and family not in found:
            found.append(family)
    return found


def _family(block: Block) -> _Family | None:
    if block.is_marked("body"):
        return _send_requests
    if block.mark:
        return None
    if block.language in SHELLS:
        return _run_shell
    return {"python": _run_python, "js": _run_javascript, "http": _send_requests}.get(block.language)


def _members(page: Page, *languages: str) -> list[Block]:
    return [block for block in page.blocks if block.language in languages and block.mark is None]


def _run_shell(page: Page, scene: Scene) -> dict[Block, str]:
    blocks = _members(page, *SHELLS)
    shown = _shown(page)
    parts = [f"STRICT={'' if block in shown else 1}\n{block.text}" for block in blocks]
    announce = "printf '%s\\n' '{}'\n"
    return _run_program(["bash"], blocks, parts, announce, scene, "program.sh", _PRELUDE)


def _run_python(page: Page, scene: Scene) -> dict[Block, str]:
    """With the variables that a reader sources, the project's client installed, and the store in Cognito's place."""
    blocks = _members(page, "python")
    shell = (
        "set -a; source .local/env; AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER=$AWS_ENDPOINT_URL_DYNAMODB; "
        f'PYTHONPATH=$PWD:$PWD/clients/python/src exec {shlex.quote(sys.executable)} "$1"'
    )
    parts = [block.text for block in blocks]
    return _run_program(["bash", "-c", shell, "-"], blocks, parts, "print('{}', flush=True)\n", scene, "program.py")


def _run_javascript(page: Page, scene: Scene) -> dict[Block, str]:
    blocks = _members(page, "js")
    parts = [block.text for block in blocks]
    return _run_program(["node"], blocks, parts, "console.log('{}');\n", scene, "program.mjs")


def _run_program(
    command: list[str],
    blocks: list[Block],
    parts: list[str],
    announce: str,
    scene: Scene,
    name: str,
    prelude: str = "",
) -> dict[Block, str]:
    """What each block of a program prints; a marker that is printed before each tells them apart."""
    text = prelude + "".join(announce.format(_MARKER.format(number)) + part for number, part in enumerate(parts))
    (scene.folder / name).write_text(scene.placed(text), encoding="utf-8")
    done = scene.run([*command, name])
    pieces = _MARKERS.split(done.stdout)
    said = {blocks[int(number)]: piece for number, piece in zip(pieces[1::2], pieces[2::2], strict=True)}
    if done.returncode:
        last = list(said)[-1] if said else blocks[0]
        raise NotAsShown(f"{last.place}: ended with {done.returncode}\n{said.get(last, '')}{done.stderr}")
    return said


def _send_requests(page: Page, scene: Scene) -> dict[Block, str]:
    shown = _shown(page)
    said = {}
    for block in page.blocks:
        if block.is_marked("body") and block.mark:
            request = f"{block.mark.value}\nAuthorization: Bearer $TOKEN\n\n{block.text}"
        elif block.language == "http" and block.mark is None:
            request = block.text
        else:
            continue
        said[block] = _send(scene.placed(request).replace("$TOKEN", scene.token), scene)
        status = int(said[block].split()[1])
        if status >= 300 and block not in shown:
            raise NotAsShown(f"{block.place}: answered with\n{said[block]}")
    return said


def _send(request: str, scene: Scene) -> str:
    head, _, body = request.partition("\n\n")
    first, *lines = head.strip().splitlines()
    method, path = first.split(" ")[:2]
    headers = dict(line.split(": ", 1) for line in lines)
    connection = http.client.HTTPConnection(urlsplit(scene.base).netloc, timeout=_SECONDS)
    try:
        connection.request(method, path, body=body.strip().encode() or None, headers=headers)
        answer = connection.getresponse()
        content = answer.read().decode()
    finally:
        connection.close()
    lines = [f"{name}: {value}" for name, value in answer.getheaders()]
    return "\n".join([f"HTTP/1.1 {answer.status} {answer.reason}", *lines, "", content])


def _shown(page: Page) -> dict[Block, Block]:
    """The blocks whose output a page shows, each with the block that shows it."""
    found: dict[Block, Block] = {}
    ran: Block | None = None
    for block in page.blocks:
        if block.is_marked("output"):
            if ran is None:
                raise NotAsShown(f"{block.place}: the output of nothing")
            found[ran] = block
        elif _family(block):
            ran = block
    return found


def _compare(page: Page, said: Mapping[Block, str], scene: Scene) -> None:
    for ran, block in _shown(page).items():
        shown, printed = scene.placed(block.text), said[ran].replace("\r\n", "\n")
        fit = {"json": fits_json, "http": _fits_answer}.get(block.language, fits_text)
        if not fit(shown, printed):
            raise NotAsShown(f"{block.place}: {ran.place} printed\n{printed}\nand the page shows\n{shown}")


def _fits_answer(shown: str, said: str) -> bool:
    """The status, the headers that are shown, and the body, if one is shown."""
    head, _, body = shown.strip().partition("\n\n")
    real_head, _, real_body = said.strip().partition("\n\n")
    (status, *headers), (real_status, *real_headers) = head.splitlines(), real_head.splitlines()
    if status.split()[1] != real_status.split()[1]:
        return False
    if not all(any(fits_text(_named(line), _named(real)) for real in real_headers) for line in headers):
        return False
    return not body or (fits_json if body.lstrip().startswith(("{", "[")) else fits_text)(body, real_body)


def _named(header: str) -> str:
    """A header line with its name in lower case, as HTTP/2 has it."""
    name, separator, value = header.partition(":")
    return name.lower() + separator + value

"""All that is stored, as texts that can be compared: a text for each row and each object.

What is computed from other things that differ between runs (checksums, sizes of what is compressed, ETags) is left out
where what it is computed of is there.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from shared.similarity.manifest import Manifest
from shared.similarity.segment import Segment

from .engine import Row

_SEGMENTS = "/segments/"
_MANIFEST = "/manifest.json"
_ERASURES = "erasures/"
_CHECKSUMS = frozenset({"crc32", "sha256", "etags", "upload_id", "size", "compressed", "offset", "bytes"})
_READ_AT = frozenset({"watermark", "complete_at"})
"""When a snapshot's rows were read: who repeats a build that was published goes on from it, and reads once more. What
that means for readers is asked by a search."""

_OF_RECOUNTS = frozenset({"generation", "recount_idle_until"})
"""What each recount draws anew, and whether it found what one before had counted: a repeat is one recount more."""

_TRIES = "tries"
"""How often an export was begun anew at its last part: a death there is one more."""

_COUNTS = frozenset({"reports", "embeddings", "objects"})
"""Of an erasure: what a worker deleted just before it died is counted by nobody, and nothing twice (`erased`)."""


def row_text(table: str, row: Row) -> str:
    """A row, with the sets in order and without the time of its end, which the machine's clock tells."""
    values = {name: _value(value) for name, value in row.items()}
    for declared in values.get("models", {}).get("M", {}).values():
        declared["M"]["created_at"] = "some time"  # of several at once, any may be the first
    if "expires_at" in values:
        values["expires_at"] = "later"
    values.update(dict.fromkeys(_OF_RECOUNTS & values.keys(), "-"))
    return f"{table} {json.dumps(values, sort_keys=True, default=bytes.hex)}"


def object_text(key: str, body: bytes, objects: Mapping[str, bytes]) -> str:
    """An object by what it says."""
    for is_one, read in _KINDS:
        if is_one(key):
            return f"{key} {json.dumps(read(key, body, objects), sort_keys=True)}"
    return f"{key} {hashlib.sha256(body).hexdigest()}"


def erased(objects: Mapping[str, bytes]) -> Counter[str]:
    """What all erasures together have counted."""
    counts: Counter[str] = Counter()
    for key, body in objects.items():
        if key.startswith(_ERASURES):
            counts.update({name: count for name, count in json.loads(body).items() if name in _COUNTS})
    return counts


def _value(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "M":
        return {kind: {name: _value(member) for name, member in content.items()}}
    return {kind: sorted(content) if kind.endswith("S") and isinstance(content, list) else content}


def _status(key: str, body: bytes, objects: Mapping[str, bytes]) -> Any:
    return _scrubbed(json.loads(body), frozenset({_TRIES, *_CHECKSUMS}))


def _erasure(key: str, body: bytes, objects: Mapping[str, bytes]) -> Any:
    return _scrubbed(json.loads(body), _COUNTS)


def _plain(key: str, body: bytes, objects: Mapping[str, bytes]) -> Any:
    return json.loads(body)


def _scrubbed(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: "-" if name in names else _scrubbed(member, names) for name, member in value.items()}
    return [_scrubbed(member, names) for member in value] if isinstance(value, list) else value


def _snapshot(key: str, body: bytes, objects: Mapping[str, bytes]) -> Any:
    """A manifest with the products of its segments in place of their numbers; a segment that is not what the manifest
    says is told."""
    manifest = Manifest.from_bytes(body)
    folder = key.removesuffix(_MANIFEST) + _SEGMENTS
    return {
        **manifest.model_dump(exclude={"segments", *_READ_AT}),
        "segments": [
            {"name": ref.name, **_named_segment(ref, objects.get(f"{folder}{ref.name}"))} for ref in manifest.segments
        ],
    }


def _named_segment(ref: Any, body: bytes | None) -> dict[str, Any]:
    if body is None or (len(body), zlib.crc32(body)) != (ref.size, ref.crc32):
        return {"broken": body is not None, "missing": body is None}
    ids = Segment.from_bytes(body).ids
    dead = [False] * len(ids) if ref.dead_rows is None else ref.dead_rows.tolist()
    named = list(zip(ids, dead, strict=True))
    return {
        "live": sorted(name for name, is_dead in named if not is_dead),
        "dead": sorted(name for name, is_dead in named if is_dead),
    }


def _segment(key: str, body: bytes, objects: Mapping[str, bytes]) -> Any:
    segment = Segment.from_bytes(body)
    places = sorted(range(len(segment)), key=segment.ids.__getitem__)
    return [[segment.ids[place], segment.vectors[place].tolist(), segment.documents.text(place)] for place in places]


def _archive(key: str, body: bytes, objects: Mapping[str, bytes]) -> Any:
    """An account's copy, whose checksums are checked, so that they need not be compared."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if archive.testzip() is None}
    manifest = json.loads(files.pop("manifest.json"))
    are_right = all(hashlib.sha256(files[file["name"]]).hexdigest() == file["sha256"] for file in manifest["files"])
    lines = {name: sorted(text.decode("latin-1").splitlines()) for name, text in files.items()}
    return {"manifest": _scrubbed(manifest, _CHECKSUMS), "are right": are_right, "files": lines}


_KINDS: tuple[tuple[Callable[[str], bool], Callable[[str, bytes, Mapping[str, bytes]], Any]], ...] = (
    (lambda key: key.endswith("/account/status.json"), _status),
    (lambda key: key.startswith(_ERASURES), _erasure),
    (lambda key: key.endswith("/matrix/status.json"), _plain),
    (lambda key: key.endswith("/building.json"), _plain),
    (lambda key: _SEGMENTS in key, _segment),
    (lambda key: key.endswith(_MANIFEST), _snapshot),
    (lambda key: key.startswith("exports/") and key.endswith(".zip"), _archive),
)

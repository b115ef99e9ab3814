"""Requests made of other ones: a part of each is another, and the rest is as it was."""

import re
from random import Random
from urllib.parse import parse_qsl, quote, urlencode

from shared.http import ENDPOINTS

from . import json_mutation
from .gateway import FORMS, HttpRequest
from .target import Raw

_HEADERS = (
    *(
        ("if-match", value)
        for value in ('"1"', "*", 'W/"1"', '"1","2"', '"0"', '"x"', '"1', "1", '""', '"9999999999999999"')
    ),
    *(("if-match", ",".join(['"1"'] * count)) for count in (100, 101)),
    *(("idempotency-key", value) for value in ("k", "k" * 255, "k" * 256, "a b", "\u00fc", "", "\x7f")),
    *(
        ("content-type", value)
        for value in ("application/json", "text/html", "application/x+json; charset=utf-8", "", ";")
    ),
    ("content-type", "application/json; charset=latin-1"),
    ("content-encoding", "gzip"),
    ("content-encoding", "identity"),
    ("host", "localhost:3001"),
)
_TEXTS = (
    "",
    "0",
    "1",
    "-1",
    "100",
    "101",
    "1e3",
    "true",
    "x",
    "%2e%2e",
    "%00",
    "%ff",
    "%f0%9f%98%80",
    "a%2Fb",
    "x" * 300,
)
_NAMES = (
    "model_version",
    "catalogue",
    "embedding_vector",
    "product_id",
    "product",
    "items",
    "filter",
    "top_k",
    "min_score",
    "metric",
    "diversity",
    "k",
    "title",
    "author",
    "date",
    "reference",
    "favorites",
    "name",
    "email",
    "avatar_url",
    "preferences",
    "include_vectors",
    "dry_run",
    "continuation",
)
_VALUES = (
    *(
        '"own"',
        '"shared"',
        '"cosine"',
        '"euclidean"',
        "[1,0.5]",
        "[0,0]",
        "[1e39]",
        "[1e-60]",
        '{"a":1}',
        '{"a":{"$gt":1}}',
    ),
    *('"2026-02-29"', '"2024-02-29"', '"https://example.com/a.png"', '"a@b"', "100", "101", "10.0", "0.5", '["a","b"]'),
    *('{"model_version":"v1","product_id":"p","embedding_vector":[1]}', "[" * 3000, '"' + "\\u0001" * 9 + '"'),
)


_GOOD = (b'{"title":"T","reference":{"price":249.99}}', b'{"model_version":"v1","product_id":"p1","filter":{"a":1}}')
_VOCABULARY = json_mutation.Vocabulary(_NAMES, _VALUES, _GOOD)


def mutate(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    """Mostly one part of the request: the body's JSON, a header, the query or a name in the path; else its text."""
    request = HttpRequest.parse(data)
    chance = source.random()
    if chance < 0.07:
        return raw(data, longest)
    if chance < 0.6 and request.body:
        request.body = json_mutation.mutate(request.body, source, raw, longest, _VOCABULARY)
    elif chance < 0.75:
        _change_headers(request, source)
    elif chance < 0.9:
        path, _, query = request.target.partition("?")
        request.target = f"{path}?{_changed_query(query, source)}"
    elif chance < 0.97:
        _change_path(request, source)
    else:
        request.form = source.choice(FORMS)
    return request.dumps()


def _change_headers(request: HttpRequest, source: Random) -> None:
    if request.headers and source.random() < 0.3:
        del request.headers[source.randrange(len(request.headers))]
    else:
        request.headers.append(source.choice(_HEADERS))


def _changed_query(query: str, source: Random) -> str:
    fields = parse_qsl(query, keep_blank_values=True)
    action = source.randrange(4)
    if action == 0 and fields:
        del fields[source.randrange(len(fields))]
    elif action == 1 and fields:
        place = source.randrange(len(fields))
        return "&".join([urlencode(fields), f"{fields[place][0]}={source.choice(_TEXTS)}"])
    elif action == 2:
        return "&".join(
            [query, source.choice(("&&", "=", "%", "a=" * 3, "a&" * 60, "limit=5", "cursor=WzEsInQiLCJwIl0"))]
        )
    elif fields:
        place = source.randrange(len(fields))
        fields[place] = (fields[place][0], source.choice(_TEXTS))
    return urlencode(fields)


def _change_path(request: HttpRequest, source: Random) -> None:
    """Another text in the place of one part of the path, or another route's path."""
    path, mark, query = request.target.partition("?")
    parts = path.split("/")
    if source.random() < 0.5:
        parts[-1 if source.random() < 0.5 else source.randrange(len(parts))] = source.choice(_TEXTS)
        request.target = "/".join(parts) + mark + query
    else:
        request.method, pattern = source.choice(sorted(ENDPOINTS))
        request.target = (
            re.sub(r"{\w+}", lambda _: quote(source.choice(("p1", "r/1", "\u00fc"))), pattern) + mark + query
        )

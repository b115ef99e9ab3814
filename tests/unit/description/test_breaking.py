"""What breaks a client of the released document, and what does not: each kind of change to a small one."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from scripts.description.breaking import Break, breaks
from scripts.description.document import build
from scripts.description.release import AlreadyReleased, keep, last_released, may_break, unannounced, version_of

Document = dict[str, Any]
Change = Callable[[Document], object]

SMALL: Document = {
    "openapi": "3.1.0",
    "info": {"title": "Small", "version": "1.2.3"},
    "security": [{"bearer": []}],
    "paths": {
        "/things": {
            "get": {
                "operationId": "list_things",
                "security": [],
                "parameters": [
                    {"name": "kind", "in": "query", "schema": {"type": "string", "enum": ["a", "b"]}},
                    {"name": "limit", "in": "query", "schema": {"$ref": "#/components/schemas/Limit"}},
                ],
                "responses": {
                    "200": {
                        "headers": {"ETag": {"required": True, "schema": {"type": "string"}}},
                        "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/thing"}}}},
                    },
                    "404": {"description": "none"},
                    "422": {
                        "headers": {"X-Request-Id": {"schema": {"type": "string"}}},
                        "content": {
                            "application/problem+json": {
                                "schema": {
                                    "allOf": [
                                        {"$ref": "#/components/schemas/Problem"},
                                        {"properties": {"type": {"enum": ["urn:invalid"]}, "title": {"enum": ["No"]}}},
                                    ]
                                }
                            }
                        },
                    },
                },
            },
            "post": {
                "operationId": "make_thing",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/NewThing"}},
                        "text/csv": {},
                    }
                },
                "responses": {"201": {"content": {"application/json": {"schema": {"$ref": "#/thing"}}}}},
            },
        }
    },
    "thing": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "state": {"enum": ["new", "old"]},
            "size": {"type": "integer"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "parts": {"type": "array", "items": {"$ref": "#/thing"}},
        },
        "required": ["id", "size"],
    },
    "components": {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "A token."}},
        "schemas": {
            "Problem": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "format": "uri"},
                    "title": {"type": "string"},
                    "errors": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["type", "title"],
            },
            "Limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            "NewThing": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "maxLength": 10, "pattern": "^[a-z]*$"},
                    "size": {"type": "number"},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["name"],
            },
        },
    },
}


def get(document: Document) -> Document:
    found: Document = document["paths"]["/things"]["get"]
    return found


def post(document: Document) -> Document:
    found: Document = document["paths"]["/things"]["post"]
    return found


def new_thing(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["NewThing"]
    return found


def member(document: Document, name: str) -> Document:
    found: Document = new_thing(document)["properties"][name]
    return found


def answered(document: Document, name: str) -> Document:
    found: Document = document["thing"]["properties"][name]
    return found


def problem(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["Problem"]
    return found


def refused(document: Document) -> Document:
    found: Document = get(document)["responses"]["422"]
    return found


def kinds(document: Document) -> Document:
    """What a problem of this one answer has besides."""
    found: Document = refused(document)["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]
    return found


def ok(document: Document) -> Document:
    found: Document = get(document)["responses"]["200"]
    return found


def body(document: Document) -> Document:
    found: Document = post(document)["requestBody"]
    return found


BREAKS: dict[str, tuple[Change, str]] = {
    "a path is gone": (lambda d: d["paths"].clear(), "GET /things: the operation is gone"),
    "a method is gone": (lambda d: d["paths"]["/things"].pop("post"), "POST /things: the operation is gone"),
    "an operationId changes": (lambda d: get(d).update(operationId="x"), "the operationId list_things is now x"),
    "a token is asked for": (lambda d: get(d).pop("security"), "security is added"),
    "another scheme": (lambda d: d.update(security=[{"key": []}]), "POST /things: security is added or changed"),
    "a scope": (lambda d: d.update(security=[{"bearer": ["write"]}]), "POST /things: security is added or changed"),
    "a parameter is gone": (lambda d: get(d)["parameters"].pop(0), "query parameter kind: is gone"),
    "a parameter is required": (lambda d: get(d)["parameters"][0].update(required=True), "kind: is now required"),
    "a new required parameter": (
        lambda d: get(d)["parameters"].append({"name": "x", "in": "header", "required": True}),
        "header parameter x: is new and required",
    ),
    "a value is no longer taken": (
        lambda d: get(d)["parameters"][0]["schema"].update(enum=["a"]),
        "query parameter kind: the value b beside a",
    ),
    "a limit is tightened": (
        lambda d: d["components"]["schemas"]["Limit"].update(maximum=50),
        "query parameter limit: maximum 100 beside 50",
    ),
    "a lower limit is raised": (lambda d: d["components"]["schemas"]["Limit"].update(minimum=2), "minimum 1 beside 2"),
    "a body is gone": (lambda d: post(d).pop("requestBody"), "request body: is gone"),
    "a body is required": (lambda d: body(d).update(required=True), "request body: is now required"),
    "a new required body": (lambda d: get(d).update(requestBody={"required": True, "content": {}}), "is now required"),
    "a media type is not taken": (lambda d: body(d)["content"].pop("text/csv"), "text/csv is no longer taken"),
    "a required member": (lambda d: new_thing(d)["required"].append("size"), "/size: may be missing"),
    "a request's member is gone": (lambda d: new_thing(d)["properties"].pop("size"), "request body /size: is gone"),
    "a request's type": (lambda d: member(d, "size").update(type="string"), "/size: the type number beside string"),
    "a request's type narrows": (lambda d: member(d, "size").update(type="integer"), "the type number beside integer"),
    "null is no longer taken": (lambda d: member(d, "note")["anyOf"].pop(), "/note: {'type': 'null'} is none of"),
    "a new limit": (lambda d: member(d, "tags").update(maxItems=3), "/tags: maxItems None beside 3"),
    "a shorter text": (lambda d: member(d, "name").update(maxLength=9), "/name: maxLength 10 beside 9"),
    "another pattern": (lambda d: member(d, "name").update(pattern="^a*$"), "/name: pattern"),
    "a new format": (lambda d: member(d, "name").update(format="date"), "/name: format None beside date"),
    "a list of values": (lambda d: member(d, "name").update(enum=["a"]), "/name: any value beside a"),
    "an item's type": (lambda d: member(d, "tags").update(items={"type": "integer"}), "/tags/*: the type string"),
    "a success is gone": (lambda d: get(d)["responses"].pop("200"), "GET /things: status 200 is gone"),
    "another success": (lambda d: get(d)["responses"].update({"202": {}}), "status 202 is new among its successes"),
    "an answer's member is gone": (
        lambda d: d["thing"]["properties"].pop("state"),
        "GET /things 200 /*/state: is gone",
    ),
    "an answer's type": (lambda d: answered(d, "size").update(type="string"), "/size: the type string beside integer"),
    "an answer's type widens": (lambda d: answered(d, "size").update(type="number"), "the type number beside integer"),
    "an answer's member may miss": (lambda d: d["thing"]["required"].remove("size"), "/size: may be missing"),
    "an answer may be null": (lambda d: answered(d, "size").update(type=["integer", "null"]), "/size: the type null"),
    "a new value in an answer": (lambda d: answered(d, "state")["enum"].append("x"), "/state: the value x beside"),
    "an answer's format is gone": (lambda d: answered(d, "id").pop("format"), "/id: format None beside uuid"),
    "an answer is any value": (lambda d: answered(d, "id").clear(), "/id: any type beside string"),
    "a media type is not answered": (lambda d: ok(d)["content"].clear(), "application/json is no longer answered"),
    "a header is gone": (lambda d: ok(d)["headers"].clear(), "the header ETag is gone"),
    "the address is another": (lambda d: d.update(servers=[{"url": "/v2"}]), "servers: / is gone"),
    "a scheme means something else": (
        lambda d: d["components"]["securitySchemes"].update(bearer={"type": "apiKey", "in": "header", "name": "K"}),
        "security scheme bearer: is another one",
    ),
    "a parameter's list is written otherwise": (
        lambda d: get(d)["parameters"][0].update(style="pipeDelimited"),
        "query parameter kind: is written in another way",
    ),
    "another default": (
        lambda d: d["components"]["schemas"]["Limit"].update(default=50),
        "query parameter limit: the default 20 is now 50",
    ),
    "no default": (lambda d: d["components"]["schemas"]["Limit"].pop("default"), "the default 20 is gone"),
    "a keyword that is not gone into": (
        lambda d: new_thing(d).update(dependentRequired={"name": ["size"]}),
        "request body: dependentRequired None beside {'name': ['size']}",
    ),
    "a problem's type is another": (
        lambda d: kinds(d).update(type={"enum": ["urn:wrong"]}),
        "GET /things 422: the problem urn:invalid is now urn:wrong",
    ),
    "a problem's member is gone": (
        lambda d: problem(d)["properties"].pop("errors"),
        "GET /things 422 /errors: is gone",
    ),
    "a problem's member may miss": (lambda d: problem(d)["required"].pop(0), "422 /type: may be missing"),
    "a problem is told otherwise": (
        lambda d: refused(d).update(content={"application/json": {}}),
        "GET /things 422: application/problem+json is no longer answered",
    ),
    "an error's header is gone": (lambda d: refused(d).pop("headers"), "422: the header X-Request-Id is gone"),
    "a header is not certain": (lambda d: ok(d)["headers"]["ETag"].update(required=False), "no longer certain"),
}
NO_BREAKS: dict[str, Change] = {
    "nothing": lambda d: None,
    "a new path": lambda d: d["paths"].update({"/more": {"get": {"operationId": "more", "responses": {"200": {}}}}}),
    "a new method": lambda d: d["paths"]["/things"].update(delete={"operationId": "x", "responses": {"204": {}}}),
    "texts": lambda d: (get(d).update(summary="New words"), member(d, "name").update(description="x", default="y")),
    "security is dropped": lambda d: d.update(security=[]),
    "a further way to sign in": lambda d: d["security"].append({"key": []}),
    "a new optional parameter": lambda d: get(d)["parameters"].append({"name": "x", "in": "query"}),
    "a further value": lambda d: get(d)["parameters"][0]["schema"]["enum"].append("c"),
    "any value": lambda d: get(d)["parameters"][0].update(schema={}),
    "a wider limit": lambda d: d["components"]["schemas"]["Limit"].update(minimum=0, maximum=200),
    "no limit": lambda d: d["components"]["schemas"]["Limit"].pop("maximum"),
    "a new optional member": lambda d: new_thing(d)["properties"].update(more={"type": "string"}),
    "a member is no longer required": lambda d: new_thing(d)["required"].clear(),
    "any member": lambda d: new_thing(d).pop("additionalProperties"),
    "a wider type": lambda d: member(d, "size").update(type=["number", "string"]),
    "null is taken": lambda d: member(d, "name").update(anyOf=[{}, {"type": "null"}], type=["string", "null"]),
    "a pattern is dropped": lambda d: member(d, "name").pop("pattern"),
    "a further media type is taken": lambda d: body(d)["content"].update({"text/plain": {}}),
    "a new member of an answer": lambda d: d["thing"]["properties"].update(more={"type": "string"}),
    "an answer's member is certain": lambda d: d["thing"]["required"].append("state"),
    "an answer is never null": lambda d: d["thing"]["properties"].update(note={"type": "string"}),
    "a value less in an answer": lambda d: answered(d, "state").update(enum=["new"]),
    "a constant answer": lambda d: d["thing"]["properties"].update(size={"const": 1}),
    "a narrower answer": lambda d: answered(d, "size").update(minimum=0),
    "a further header": lambda d: ok(d)["headers"].update(Location={}),
    "a further media type is answered": lambda d: ok(d)["content"].update({"text/csv": {}}),
    "the address is said": lambda d: d.update(servers=[{"url": "/"}, {"url": "https://api.example.com"}]),
    "a scheme's words": lambda d: d["components"]["securitySchemes"]["bearer"].update(description="An id token."),
    "a default is said": lambda d: get(d)["parameters"][0]["schema"].update(default="a"),
    "a further problem": lambda d: kinds(d)["type"]["enum"].append("urn:more"),
    "a problem's title": lambda d: kinds(d).update(title={"enum": ["Not so"]}),
    "a further member of a problem": lambda d: problem(d)["properties"].update(hint={"type": "string"}),
    "another error": lambda d: get(d)["responses"].update({"418": {}}),
    "an error less": lambda d: get(d)["responses"].pop("404"),
    "a schema moves": lambda d: (
        d["components"]["schemas"].update(Other=new_thing(d)),
        body(d)["content"]["application/json"].update(schema={"$ref": "#/components/schemas/Other"}),
    ),
}


def changed(change: Change, version: str | None = None) -> Document:
    document = copy.deepcopy(SMALL)
    change(document)
    if version:
        document["info"]["version"] = version
    return document


@pytest.mark.parametrize("kind", BREAKS)
def test_a_change_that_breaks(kind: str) -> None:
    change, expected = BREAKS[kind]
    found = [str(each) for each in breaks(SMALL, changed(change))]
    assert any(expected in each for each in found), found


@pytest.mark.parametrize("kind", NO_BREAKS)
def test_a_change_that_breaks_nothing(kind: str) -> None:
    assert breaks(SMALL, changed(NO_BREAKS[kind])) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1.2.3", "2.0.0", True),
        ("1.2.3", "1.3.0", False),
        ("1.2.3", "1.2.4", False),
        ("1.2.3", "1.2.3", False),
        ("0.1.0", "0.2.0", True),
        ("0.1.0", "0.1.1", False),
        ("0.9.0", "1.0.0", True),
        ("2.0.0", "1.9.0", False),
    ],
)
def test_which_versions_may_break(old: str, new: str, expected: bool) -> None:
    assert may_break(version_of(old), version_of(new)) == expected


@pytest.mark.parametrize("text", ["1.2", "1.2.3-rc1", "v1.2.3", "1.2.x", ""])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="is no version of three numbers"):
        version_of(text)


def test_a_break_is_announced_by_the_version_or_told() -> None:
    gone = BREAKS["a method is gone"][0]
    assert unannounced(SMALL, changed(gone, "1.3.0")) == [Break("POST /things", "the operation is gone")]
    assert unannounced(SMALL, changed(gone, "2.0.0")) == []


def test_a_reference_to_nothing_is_an_error() -> None:
    broken = changed(lambda d: d["components"]["schemas"].pop("NewThing"))
    with pytest.raises(KeyError):
        breaks(SMALL, broken)


def test_the_last_release_is_that_of_the_highest_version(tmp_path: Any) -> None:
    assert last_released(tmp_path) is None
    for version in ("0.9.0", "0.10.0", "0.2.0"):
        keep(changed(NO_BREAKS["nothing"], version), tmp_path)
    kept = last_released(tmp_path)
    assert kept is not None
    assert kept["info"]["version"] == "0.10.0"


def test_a_release_is_kept_once(tmp_path: Any) -> None:
    kept = keep(SMALL, tmp_path)
    assert keep(SMALL, tmp_path) == kept
    with pytest.raises(AlreadyReleased):
        keep(changed(BREAKS["a method is gone"][0]), tmp_path)
    assert last_released(tmp_path) == SMALL
    keep(changed(BREAKS["a method is gone"][0], "2.0.0"), tmp_path)


def test_this_version_breaks_no_client_of_the_last_release() -> None:
    released = last_released()
    assert released is not None
    assert [str(each) for each in unannounced(released, build())] == []


def test_the_whole_document_breaks_nothing_of_itself_and_a_part_of_it_would() -> None:
    """Its schemas are recursive, and have alternatives of every kind."""
    document = build()
    assert breaks(document, document) == []
    tightened = copy.deepcopy(document)
    tightened["components"]["schemas"]["FilterOperators"]["properties"]["$in"]["maxItems"] -= 1
    found = {each.place.split(" request body")[0] for each in breaks(document, tightened)}
    assert found == {"POST /embeddings/search", "POST /embeddings/delete", "POST /reports/{report_id}/search"}

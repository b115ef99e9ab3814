"""The document: valid, up to date, complete, and with examples that do what they say."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel

from scripts.description import document as written
from scripts.description import main as command
from scripts.description.breaking import breaks
from scripts.description.document import all_endpoints, build, files
from scripts.description.examples import (
    BED,
    BED_VECTOR,
    EXAMPLES,
    MAT,
    MAT_VECTOR,
    MODEL_VERSION,
    PRODUCT_ID,
    REPORT_ID,
)
from scripts.description.operations import operation_id
from scripts.description.references import resolved
from scripts.description.release import AlreadyReleased
from shared import __version__
from shared.database.manager import DatabaseManager
from shared.errors import ApiError, Conflict, OutcomeUnknown
from shared.http import Answer, Content, Endpoint, endpoint
from shared.models.fields import ResponseModel
from shared.models.filters import FilterError, parse_filter
from tests.conftest import ALICE
from tests.support.api import Api, Context, encoded
from tests.support.cases import build_matrix, embed, insert
from tests.support.description import check_answer, document, faults, operation

NAMED_BY_ANSWERS = {"get_asset", "get_avatar"}
"""Operations of things whose names nobody knows before an answer, or the page, has said them."""

ENDPOINTS = {operation_id(each): each for each in all_endpoints()}


def subclasses(error: type[ApiError]) -> Iterator[type[ApiError]]:
    for each in error.__subclasses__():
        yield each
        yield from subclasses(each)


def test_it_is_a_valid_openapi_document() -> None:
    validate(build())


def test_its_files_are_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_a_stale_file_is_told(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(written, "READABLE", written.PROJECT / "docs" / "nowhere.json")
    assert command.main(["--check"]) == 1
    assert "docs/nowhere.json is not what the code says. Run scripts/openapi.py." in capsys.readouterr().err


def test_it_is_the_same_however_often_it_is_made() -> None:
    assert files(build()) == files(build(reversed(all_endpoints())))


def test_the_two_files_say_the_same() -> None:
    assert json.loads(written.READABLE.read_text("utf-8")) == json.loads(written.SERVED.read_text("utf-8"))


def test_a_break_is_told_by_the_command(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    more = {**build(), "paths": {**build()["paths"], "/gone": {"get": {"responses": {}}}}}
    (tmp_path / "old.json").write_text(json.dumps(more), encoding="utf-8")
    assert command.main(["--compare", str(tmp_path / "old.json")]) == 1
    said = capsys.readouterr().err
    assert "GET /gone: the operation is gone" in said
    assert f"Clients of {__version__} would break." in said
    assert command.main(["--compare"]) == 0


def test_another_document_of_a_released_version_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def keep(document: Any) -> Any:
        raise AlreadyReleased("openapi-0.1.0.json")

    monkeypatch.setattr(command, "keep", keep)
    assert command.main(["--release"]) == 1
    assert "openapi-0.1.0.json is the document of this version's release, and another one." in capsys.readouterr().err


def test_it_has_every_route_with_an_operation_id_of_its_own() -> None:
    stated = {(method.upper(), path) for path, item in document()["paths"].items() for method in item}
    assert stated == {(each.method, each.path) for each in all_endpoints()}
    assert len(ENDPOINTS) == len(all_endpoints())


def test_it_has_the_version_of_the_code_and_a_relative_server() -> None:
    assert document()["info"]["version"] == __version__
    assert document()["servers"] == [{"url": "/"}]


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_route_asks_for_a_token_unless_it_is_open(name: str) -> None:
    stated = operation(ENDPOINTS[name].method, ENDPOINTS[name].path)
    assert stated.get("security", document()["security"]) == ([] if ENDPOINTS[name].is_open else [{"bearer": []}])
    assert ("401" in stated["responses"]) != ENDPOINTS[name].is_open


def test_every_member_and_parameter_has_words() -> None:
    schemas = document()["components"]["schemas"]
    members = {
        f"{name}.{member}": schema
        for name, stated in schemas.items()
        for member, schema in stated.get("properties", {}).items()
        if not name.startswith("Filter")
    }
    assert [name for name, schema in members.items() if not schema.get("description")] == []
    for path, item in document()["paths"].items():
        for stated in item.values():
            for parameter in stated.get("parameters", []):
                assert resolved(document(), parameter)["description"], f"{path}: {parameter}"
            assert stated["summary"]


def test_every_error_has_words_and_a_type_of_its_own() -> None:
    for name, response in document()["components"]["responses"].items():
        assert response["description"], name
        problem = response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]
        assert all(kind.startswith("urn:k9:problem:") for kind in problem["type"]["enum"])
        (error,) = [each for each in subclasses(ApiError) if each.__name__ == name]
        assert problem["status"] == {"const": error.status}


def test_what_needs_nothing_is_not_in_it() -> None:
    """Every component is referred to."""
    text = json.dumps(document())
    for kind, components in document()["components"].items():
        for name in components if kind != "securitySchemes" else ():
            assert f'"#/components/{kind}/{name}"' in text, name


EVERYWHERE = {400, 413, 429, 500, 503}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("health", {200}),
        ("get_openapi", {200, 304}),
        ("get_profile", {200, 401}),
        ("update_profile", {200, 401, 409, 412, 415, 422}),
        ("request_avatar", {201, 401, 409, 415, 422}),
        ("create_report", {201, 401, 409, 415, 422}),
        ("list_reports", {200, 401, 422}),
        ("get_report", {200, 401, 404, 422}),
        ("update_report", {200, 401, 404, 409, 412, 415, 422}),
        ("delete_report", {204, 401, 404, 412, 422}),
        ("add_favorite", {200, 401, 404, 409, 412, 422}),
        ("search_report", {200, 401, 403, 404, 415, 422}),
        ("store_embedding", {200, 201, 401, 403, 409, 412, 415, 422}),
        ("store_embeddings", {200, 401, 403, 415, 422}),
        ("list_models", {200, 401, 403, 422}),
        ("delete_embedding", {204, 401, 403, 404, 409, 412, 422}),
        ("delete_embeddings", {200, 401, 403, 415, 422}),
        ("build_matrix", {202, 401, 403, 409, 415, 422}),
        ("get_neighbors", {200, 401, 403, 404, 422}),
    ],
)
def test_the_statuses_of_a_route(name: str, expected: set[int]) -> None:
    stated = operation(ENDPOINTS[name].method, ENDPOINTS[name].path)["responses"]
    assert {int(status) for status in stated} == expected | EVERYWHERE


def test_what_every_route_refuses(alice: Api) -> None:
    """A query of too many fields, and a body that is too long, wanted or not."""
    many = "&".join(f"f{number}=1" for number in range(51))
    long = "x" * (1024 * 1024 + 3)
    for name, route in ENDPOINTS.items():
        path = re.sub(r"{\w+}", "r", route.path)
        assert alice.request(route.method, path, query=many).status == 400, name
        assert alice.request(route.method, path, long).status == 413, name


class Thing(ResponseModel):
    """A thing."""

    name: str
    version: int


class Other(ResponseModel):
    url: str


@dataclass
class Made:
    """Routes that are of this test alone."""

    operations: dict[str, Any]

    @classmethod
    def of(cls, monkeypatch: pytest.MonkeyPatch, function: Any, **options: Any) -> "Made":
        monkeypatch.setattr("shared.http.ENDPOINTS", {})
        route: Endpoint = endpoint("GET", "/made/{file}", **options)(function)
        return cls(build([route])["paths"]["/made/{file}"]["get"])

    @property
    def responses(self) -> dict[str, Any]:
        found: dict[str, Any] = self.operations["responses"]
        return found


class TestBytes:
    def test_of_several_kinds_or_a_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def handler(file: str) -> Content | Other:
            """Get it. Or where it is."""
            raise AssertionError

        made = Made.of(
            monkeypatch,
            handler,
            media_types=("application/zip", "text/csv"),
            content_headers=("Content-Disposition",),
            is_open=True,
        )
        content = made.responses["200"]["content"]
        assert content["application/zip"]["schema"] == {
            "type": "string",
            "format": "binary",
            "contentMediaType": "application/zip",
        }
        assert content["text/csv"] == {"schema": {"type": "string"}}
        assert content["application/json"] == {"schema": {"$ref": "#/components/schemas/Other"}}
        assert made.operations["summary"] == "Get it"
        assert made.operations["description"] == "Get it. Or where it is."
        headers = made.responses["200"]["headers"]
        assert set(headers) == {"X-Request-Id", "Cache-Control", "Content-Disposition"}
        assert headers["Cache-Control"] == {"$ref": "#/components/headers/Cache-Control"}

    def test_a_304_has_no_content_and_a_text_is_never_invalid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def handler(file: str) -> Content:
            """Get it."""
            raise AssertionError

        headers = ("Cache-Control", "ETag")
        made = Made.of(
            monkeypatch,
            handler,
            media_types=("text/html",),
            other_statuses=(304,),
            content_headers=headers,
            is_open=True,
        )
        assert {"$ref": "#/components/parameters/If-None-Match"} in made.operations["parameters"]
        assert made.responses["304"]["headers"]["ETag"] == {"$ref": "#/components/headers/Representation"}
        assert "content" not in made.responses["304"]
        assert "422" not in made.responses
        assert "404" in made.responses


class TestAnswers:
    def test_of_a_status_and_a_place_of_their_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def handler(file: str) -> Answer[Thing]:
            """Begin it."""
            raise AssertionError

        made = Made.of(monkeypatch, handler, status=202, other_statuses=(200,), refusals=(Conflict, OutcomeUnknown))
        assert {"ETag", "Location"} <= set(made.responses["202"]["headers"])
        assert "Location" not in made.responses["200"]["headers"]
        assert made.responses["409"] == {"$ref": "#/components/responses/Conflict"}
        assert made.responses["503"] == {"$ref": "#/components/responses/OutcomeUnknown"}
        assert made.operations.get("security") is None

    @pytest.mark.parametrize("result", [Answer, inspect.Signature.empty])
    def test_one_that_does_not_say_of_what_is_refused(self, monkeypatch: pytest.MonkeyPatch, result: Any) -> None:
        def handler(file: str):  # type: ignore[no-untyped-def]
            """Begin it."""

        if result is Answer:
            handler.__annotations__["return"] = Answer
        with pytest.raises(TypeError, match=r"GET /made/\{file\}: the handler does not say of which model"):
            Made.of(monkeypatch, handler)

    def test_none_is_a_204(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def handler(file: str) -> None:
            """Drop it."""

        made = Made.of(monkeypatch, handler)
        assert set(made.responses["204"]) == {"description", "headers"}
        assert "200" not in made.responses


class TestExamples:
    """Sent one after the other, as they are in the document, each after what it needs has been put there."""

    @pytest.fixture(autouse=True)
    def rows(self, manager: DatabaseManager) -> None:
        reference = EXAMPLES["create_report"].body["reference"]
        insert(ALICE, REPORT_ID, title="Beds for large dogs", reference=reference, favorites={"travel-mat-7"})

    def products(self) -> None:
        embed(ALICE, PRODUCT_ID, BED_VECTOR, BED, MODEL_VERSION)
        embed(ALICE, "travel-mat-7", MAT_VECTOR, MAT, MODEL_VERSION)

    def send(self, api: Api, name: str, **options: Any) -> Any:
        stated = operation(ENDPOINTS[name].method, ENDPOINTS[name].path)
        values = {
            parameter["name"]: parameter["example"]
            for parameter in stated.get("parameters", [])
            if "example" in parameter
        }
        path = ENDPOINTS[name].path.format(**{key: encoded(str(value)) for key, value in values.items()})
        in_query = [parameter["name"] for parameter in stated.get("parameters", []) if parameter.get("in") == "query"]
        query = urlencode({key: value for key, value in values.items() if key in in_query})
        content = stated.get("requestBody", {}).get("content", {})
        body = content["application/json"]["example"] if content else None
        return api.request(ENDPOINTS[name].method, path, body, query=query, **options)

    def test_every_operation_with_parameters_or_a_body_has_one(self) -> None:
        for name, each in ENDPOINTS.items():
            takes = {*each.types} - {"caller", "terms", "request"}
            assert name in EXAMPLES or not takes or name in NAMED_BY_ANSWERS, name

    def test_every_example_is_of_an_operation(self) -> None:
        assert EXAMPLES.keys() <= ENDPOINTS.keys()

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_it_succeeds_and_answers_what_it_says(self, alice: Api, name: str) -> None:
        if name not in ("store_embedding", "get_profile", "update_profile"):  # which are of what is not there yet
            self.products()
        if name in ("get_matrix", "get_neighbors"):
            build_matrix(ALICE, MODEL_VERSION, 10)
        if name == "get_profile":
            self.send(alice, "update_profile")
        answer = self.send(alice, name)
        expected, is_a_file = EXAMPLES[name].answer, bool(ENDPOINTS[name].media_types)
        assert answer.status == (ENDPOINTS[name].status if expected is not None or is_a_file else 204)
        if expected is not None:
            assert shape(answer.json()) == shape(expected)

    def test_the_scores_are_those_of_the_vectors(self, alice: Api) -> None:
        self.products()
        expected = pytest.approx(EXAMPLES["score_product"].answer["score"])
        assert self.send(alice, "score_product").json()["score"] == expected
        assert self.send(alice, "search_embeddings").json()["hits"][0]["score"] == expected

    @pytest.mark.parametrize("name", [name for name in EXAMPLES if EXAMPLES[name].answer is not None])
    def test_its_answer_is_valid(self, name: str) -> None:
        each = ENDPOINTS[name]
        response = {
            "statusCode": each.status,
            "headers": {"Content-Type": "application/json", "X-Request-Id": "1", "Cache-Control": "no-store"},
            "body": json.dumps(EXAMPLES[name].answer),
            "isBase64Encoded": False,
        }
        for header in ("ETag", "Location"):
            if header in operation(each.method, each.path)["responses"][str(each.status)]["headers"]:
                response["headers"] |= {header: '"1"'}  # type: ignore[operator]
        check_answer(each, response)


def shape(value: Any) -> Any:
    """A value by its members and types; lists by what is in them."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items() if name not in ("product", "reference")}
    if isinstance(value, list):
        return sorted({json.dumps(shape(member), sort_keys=True) for member in value})
    return "number" if isinstance(value, float) else type(value).__name__


class TestTheCheckOfAnswers:
    """What the check of every test's answers would pass for, if it looked at nothing."""

    def answer(self, alice: Api) -> tuple[Endpoint, dict[str, Any]]:
        each = ENDPOINTS["list_reports"]
        event = alice.event("GET", "/reports")
        return each, each(event, Context())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"statusCode": 418}, "answers 418"),
            ({"body": '{"reports": []}'}, "required property"),
            ({"body": ""}, "has no body"),
            ({"headers": {"Content-Type": "application/json"}}, "has no X-Request-Id"),
        ],
    )
    def test_it_refuses(self, alice: Api, change: dict[str, Any], message: str) -> None:
        each, response = self.answer(alice)
        check_answer(each, response)
        with pytest.raises(AssertionError, match=message):
            check_answer(each, {**response, **change})

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [("Content-Type", "text/html", "which the document does not tell of"), ("Location", "/x", "has a Location")],
    )
    def test_it_refuses_a_header(self, alice: Api, name: str, value: str, message: str) -> None:
        each, response = self.answer(alice)
        with pytest.raises(AssertionError, match=message):
            check_answer(each, {**response, "headers": {**response["headers"], name: value}})


def schema_faults(name: str, value: Any) -> list[str]:
    return faults(f"/components/schemas/{name}", value)


def test_the_documents_schemas_are_exact_where_the_models_are() -> None:
    """Some values on both sides of each rule; schemathesis tries many more."""
    assert schema_faults("Vector", [0, 1e-45]) == []
    assert schema_faults("Vector", [0.0, 1e-46]) != []
    assert schema_faults("Vector", [3.4028235e38]) == []
    assert schema_faults("Vector", [3.4028236e38]) != []
    assert schema_faults("JsonNumber", 9.99e125) == []
    assert schema_faults("JsonNumber", 1e126) != []
    assert schema_faults("JsonNumber", 1e-131) != []
    assert schema_faults("Filter", {"a.b": {"$in": [1, None]}, "$or": [{"c": "x"}]}) == []
    assert schema_faults("Name", " a ") == []
    assert schema_faults("Name", " \u3000 ") != []
    assert schema_faults("EmailAddress", "a@b@c") == []
    assert schema_faults("EmailAddress", "a@@b") != []
    assert schema_faults("ProductId", "\u00fc \U0001f436") == []
    assert schema_faults("ProductId", "a\u200b") != []
    assert schema_faults("EmbeddedProductId", "search") != []


@pytest.mark.parametrize(
    "document",
    [{"$nor": []}, {"$or": []}, {"a..b": 1}, {"$a": 1}, {"a": {"$x": 1}}, {"a": {}}, {"a": []}, {"a": {"$gt": None}}],
    ids=json.dumps,
)
def test_what_is_no_filter_is_none_by_the_document_either(document: dict[str, Any]) -> None:
    assert schema_faults("Filter", document) != []
    with pytest.raises(FilterError):
        parse_filter(document)


def test_a_released_document_is_one_that_this_breaks_nothing_of() -> None:
    assert breaks(document(), build()) == []


@pytest.mark.parametrize("name", ["get_profile", "update_profile", "request_avatar"])
def test_what_may_make_a_profile_may_not_know_whether_it_did(name: str) -> None:
    stated = operation(ENDPOINTS[name].method, ENDPOINTS[name].path)
    assert stated["responses"]["503"] == {"$ref": "#/components/responses/OutcomeUnknown"}


@pytest.mark.parametrize(("model", "member"), [("SearchHit", "is_favorite"), ("ItemResult", "version")])
def test_a_member_that_is_left_out_is_never_null(model: str, member: str) -> None:
    """In models that are within others, too."""
    assert "anyOf" not in document()["components"]["schemas"][model]["properties"][member]


def test_models_are_named_once() -> None:
    """Two models of one name would be one component."""
    models = [kind for each in all_endpoints() for kind in each.types.values() if isinstance(kind, type)]
    named = {kind for kind in models if issubclass(kind, BaseModel)}
    assert len({kind.__name__ for kind in named}) == len(named)

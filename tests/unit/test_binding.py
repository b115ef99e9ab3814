"""A handler's signature as its contract: where each argument comes from, and what is refused on the way."""

import contextlib
import inspect
import json
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from shared.auth import Caller
from shared.binding import Binder
from shared.database import Terms
from shared.errors import ApiError, InvalidRequest, MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from shared.events import MAX_BODY_BYTES, Request
from shared.models.embedding import SearchEmbeddings, StoreEmbedding
from shared.models.fields import RequestModel
from shared.models.report import CreateReport, ListReports, ReplaceFavorites, ReportId, UpdateReport
from shared.models.user import UpdateProfile

CALLER = Caller("alice")
ROUTE = ("PUT", "/things/{thing_id}")


class Anything(RequestModel):
    """A body that takes any JSON value as its one member."""

    value: Any


def request(
    body: str | bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    query: str = "",
    path: str = "/things/t-1",
    parameters: Mapping[str, str] | None = None,
) -> Request:
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body or b""
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": dict(headers or {}),
        "pathParameters": dict({"thing_id": "t-1"} if parameters is None else parameters),
        "requestContext": {"http": {"method": "PUT"}},
        "body": b64encode(content).decode(),
        "isBase64Encoded": True,
    }
    return Request.of(event, "request-1")


def bind(name: str, kind: Any, sent: Request, caller: Caller | None = CALLER) -> Any:
    """The argument called `name`, declared as `kind`, of a handler of ROUTE."""
    return Binder(function_taking(**{"thing_id": str, name: kind}), *ROUTE).arguments(sent, caller)[name]


def function_taking(**types: Any) -> Callable[..., None]:
    """A function with these parameters, as far as inspection tells."""

    def function(**_: Any) -> None: ...

    keywords = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in types]
    function.__annotations__ = types
    function.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    return function


def keyed(members: str) -> str:
    """The text of a body about one embedding."""
    return f'{{"product_id": "p", "model_version": "m", {members}}}'


def body_of(text: str | bytes, model: type[BaseModel] = Anything, content_type: str | None = None) -> Any:
    headers = {} if content_type is None else {"content-type": content_type}
    return bind("body", model, request(text, headers=headers))


def terms_of(headers: Mapping[str, str], **options: Any) -> Terms:
    terms = bind("terms", Terms, request("{}", headers=headers), **options)
    assert isinstance(terms, Terms)
    return terms


def pointers(error: ApiError) -> list[str]:
    return [fault.pointer for fault in error.errors]


class TestSources:
    def test_the_caller(self) -> None:
        assert bind("caller", Caller, request()) is CALLER

    def test_the_request_itself(self) -> None:
        sent = request()
        assert bind("request", Request, sent) is sent

    def test_a_path_parameter_is_validated(self) -> None:
        assert bind("thing_id", ReportId, request()) == "t-1"

    @pytest.mark.parametrize("value", ["", "x" * 129, "a\x00b", "a\nb", "\u202e", "\ud800"])
    def test_a_bad_path_parameter_is_named(self, value: str) -> None:
        with pytest.raises(InvalidRequest) as refused:
            bind("thing_id", ReportId, request(parameters={"thing_id": value}))
        assert pointers(refused.value) == ["/path/thing_id"]

    def test_a_path_parameter_that_the_event_lacks_is_as_empty(self) -> None:
        with pytest.raises(InvalidRequest) as refused:
            bind("thing_id", ReportId, request(parameters={}))
        assert pointers(refused.value) == ["/path/thing_id"]

    def test_the_body_becomes_its_model(self) -> None:
        assert body_of('{"title": "T"}', CreateReport) == CreateReport(title="T")

    def test_the_query_becomes_its_model(self) -> None:
        query = bind("query", ListReports, request(query="limit=7&include_total=true&cursor=abc"))
        assert query == ListReports(limit=7, include_total=True, cursor="abc")
        assert bind("query", ListReports, request()) == ListReports()

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("limit=0", ["/query/limit"]),
            ("limit=101", ["/query/limit"]),
            ("limit=ten", ["/query/limit"]),
            ("limit=", ["/query/limit"]),
            ("limit=1.5", ["/query/limit"]),
            ("include_total=perhaps", ["/query/include_total"]),
            ("cursor=" + "x" * 1025, ["/query/cursor"]),
            ("user_id=bob", ["/query/user_id"]),
            ("limit=1&limit=2", ["/query/limit"]),
            ("a%2Fb~=1", ["/query/a~1b~0"]),
        ],
    )
    def test_a_bad_query_is_named(self, query: str, named: list[str]) -> None:
        with pytest.raises(InvalidRequest, match="query") as refused:
            bind("query", ListReports, request(query=query))
        assert pointers(refused.value) == named


class TestMisuse:
    def test_a_parameter_that_no_request_has(self) -> None:
        with pytest.raises(TypeError, match=r"PUT /things/\{thing_id\}: nothing in a request is called 'extra'"):
            bind("extra", str, request())

    def test_a_path_parameter_that_the_handler_does_not_take(self) -> None:
        def handler(caller: Caller) -> None: ...

        with pytest.raises(TypeError, match="the handler takes no a, b"):
            Binder(handler, "GET", "/{b}/{a}")

    def test_a_parameter_without_a_type(self) -> None:
        def handler(thing_id) -> None: ...  # type: ignore[no-untyped-def]

        with pytest.raises(TypeError, match="the parameter 'thing_id' has no type"):
            Binder(handler, *ROUTE)


class TestContentType:
    @pytest.mark.parametrize(
        "content_type",
        [
            None,
            "",
            "application/json",
            "Application/JSON",
            " application/json ; charset=utf-8",
            'application/json; charset="UTF-8"',
            "application/json;charset=us-ascii",
            "application/json; profile=x",
            "application/merge-patch+json",
            "application/vnd.k9.v1+json",
            "text/json",
            "text/plain",
            "text/plain; charset=utf8",
            "application/x-www-form-urlencoded",
        ],
    )
    def test_accepted(self, content_type: str | None) -> None:
        assert body_of('{"value": 1}', content_type=content_type).value == 1

    @pytest.mark.parametrize(
        "content_type",
        [
            "multipart/form-data; boundary=x",
            "image/png",
            "application/octet-stream",
            "application/xml",
            "application/jsonp",
            "application/json-seq",
            "application/+json",
            "xapplication/json",
            "json",
            "*/*",
            "application/json, text/html",
            "application/json; charset=utf-16",
            "application/json; charset=latin-1",
            "text/plain; CHARSET = iso-8859-1",
        ],
    )
    def test_refused(self, content_type: str) -> None:
        with pytest.raises(UnsupportedMediaType):
            body_of('{"value": 1}', content_type=content_type)


class TestJson:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "needs a JSON body"),
            ("{", "line 1, column 2"),
            ('{"value": 1,}', "line 1, column"),
            ("{'value': 1}", "line 1, column 2"),
            ('{"value": 1} x', "line 1, column 14"),
            ('\n{"value"', "line 2"),
            ('{"value": 01}', "line 1"),
            ('{"value": "\t"}', "control character"),
            ('{"value": nan}', "line 1, column 11"),
            ('{"value": +Infinity}', "line 1, column 11"),
            ('{"value": 1, "value": 2}', "names a member twice"),
            ('{"value": {"a": 1, "\\u0061": 2}}', "names a member twice"),
            ('\ufeff{"value": 1}', "BOM"),
            ("[" * 100_000, "nested too deeply"),
            ('{"a":' * 100_000, "nested too deeply"),
            (b"\xff", "not UTF-8"),
            (b'{"value": "\xc3"}', "not UTF-8"),
            (b'{"value": "\xed\xa0\x80"}', "not UTF-8"),
            ('{"value": 1}'.encode("utf-16"), "not UTF-8"),
        ],
        ids=lambda value: repr(value)[:20],
    )
    def test_what_cannot_be_read(self, text: str | bytes, reason: str) -> None:
        with pytest.raises(MalformedRequest) as refused:
            body_of(text)
        assert reason in refused.value.detail
        assert refused.value.errors == ()

    def test_the_text_itself_is_not_repeated(self) -> None:
        with pytest.raises(MalformedRequest) as refused:
            body_of('{"value": canary}')
        assert "canary" not in refused.value.detail

    def test_a_large_body(self) -> None:
        assert len(body_of('{"value": "' + "x" * (MAX_BODY_BYTES - 13) + '"}').value) == MAX_BODY_BYTES - 13
        with pytest.raises(PayloadTooLarge):
            body_of('{"value": "' + "x" * (MAX_BODY_BYTES - 12) + '"}')

    @given(content=st.binary(max_size=200))
    def test_no_bytes_are_unexpected(self, content: bytes) -> None:
        with contextlib.suppress(MalformedRequest, InvalidRequest):
            assert body_of(content).model_fields_set == {"value"}


class TestBodyPointers:
    @pytest.mark.parametrize("text", ["null", "1", '"x"', "[]", "true"])
    def test_a_body_that_is_no_object(self, text: str) -> None:
        with pytest.raises(InvalidRequest, match="body") as refused:
            body_of(text, CreateReport)
        assert pointers(refused.value) == ["/body"]

    @pytest.mark.parametrize(
        ("model", "text", "named"),
        [
            (CreateReport, "{}", ["/body/title"]),
            (CreateReport, '{"title": ""}', ["/body/title"]),
            (CreateReport, '{"title": "  "}', ["/body/title"]),
            (CreateReport, '{"title": 7}', ["/body/title"]),
            (CreateReport, '{"title": null}', ["/body/title"]),
            (CreateReport, '{"title": "\\ud800"}', ["/body/title"]),
            (CreateReport, '{"title": "t", "\\ud800": 1}', ["/body"]),
            (CreateReport, '{"title": "t", "a/b~c": 1}', ["/body/a~1b~0c"]),
            (CreateReport, '{"title": "t", "date": "2026-02-30"}', ["/body/date"]),
            (CreateReport, '{"title": "t", "reference": []}', ["/body/reference"]),
            (CreateReport, '{"title": "t", "reference": {"a": [1, {"b/c": 1e999}]}}', ["/body/reference/a/1/b~1c"]),
            (CreateReport, '{"title": NaN}', ["/body/title"]),
            (CreateReport, '{"title": "t", "reference": {"a": [NaN]}}', ["/body/reference/a/0"]),
            (CreateReport, '{"title": "t", "reference": {"a": -Infinity}}', ["/body/reference/a"]),
            (UpdateProfile, '{"preferences": {"x": Infinity}}', ["/body/preferences/x"]),
            (StoreEmbedding, keyed('"embedding_vector": [1, NaN]'), ["/body/embedding_vector"]),
            (StoreEmbedding, keyed('"embedding_vector": [1, -Infinity]'), ["/body/embedding_vector"]),
            (StoreEmbedding, keyed('"embedding_vector": [1], "product": {"n": NaN}'), ["/body/product/n"]),
            (SearchEmbeddings, keyed('"top_k": NaN'), ["/body/top_k"]),
            (SearchEmbeddings, keyed('"min_score": Infinity'), ["/body/min_score"]),
            (SearchEmbeddings, keyed('"diversity": NaN'), ["/body/diversity"]),
            (SearchEmbeddings, keyed('"filter": {"n": {"$gt": NaN}}'), ["/body/filter/n/$gt"]),
            (
                CreateReport,
                '{"title": "", "date": "x", "user_id": "bob"}',
                ["/body/title", "/body/date", "/body/user_id"],
            ),
            (UpdateReport, "{}", ["/body"]),
            (UpdateReport, '{"title": null}', ["/body/title"]),
            (ReplaceFavorites, '{"favorites": ["a", 1, "", "b\\n"]}', [f"/body/favorites/{n}" for n in (1, 2, 3)]),
            (UpdateProfile, '{"preferences": {"\\ud800": 1}}', ["/body/preferences"]),
            (UpdateProfile, '{"preferences": {"x": "\\udfff"}}', ["/body/preferences/x"]),
        ],
    )
    def test_each_fault_is_named(self, model: type[BaseModel], text: str, named: list[str]) -> None:
        with pytest.raises(InvalidRequest) as refused:
            body_of(text, model)
        assert pointers(refused.value) == named
        assert all(fault.message for fault in refused.value.errors)

    @pytest.mark.parametrize("value", ["null", "1", '"x"', "[]", "true"])
    def test_what_is_no_object_is_told_in_words_of_json(self, value: str) -> None:
        """Neither Python's types nor the names of our classes."""
        for model, text, pointer in (
            (CreateReport, value, "/body"),
            (StoreEmbedding, keyed(f'"embedding_vector": [1], "product": {value}'), "/body/product"),
            (SearchEmbeddings, keyed('"filter": ' + ("[1]" if value == "null" else value)), "/body/filter"),
            (UpdateProfile, f'{{"preferences": {"[1]" if value == "null" else value}}}', "/body/preferences"),
        ):
            with pytest.raises(InvalidRequest) as refused:
                body_of(text, model)
            told = [(fault.pointer, fault.message) for fault in refused.value.errors]
            assert told == [(pointer, "must be a JSON object")]

    def test_a_storm_of_faults_is_cut(self) -> None:
        members = ", ".join(f'"m{number}": 1' for number in range(500))
        with pytest.raises(InvalidRequest) as refused:
            body_of(f'{{"title": "t", {members}}}', CreateReport)
        assert len(refused.value.errors) == 50

    def test_an_own_validators_message_stands_without_pydantics_prefix(self) -> None:
        with pytest.raises(InvalidRequest) as refused:
            body_of('{"title": " "}', CreateReport)
        assert [fault.message for fault in refused.value.errors] == ["must not be blank"]

    @given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8))
    def test_a_pointer_leads_back_to_the_member(self, name: str) -> None:
        class Narrow(RequestModel):
            inner: dict[str, Annotated[int, Field(ge=0)]]

        with pytest.raises(InvalidRequest) as refused:
            body_of(json.dumps({"inner": {name: -1}}), Narrow)
        (pointer,) = pointers(refused.value)
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        assert steps == ["body", "inner", name]


class TestIdempotencyKey:
    def test_without_one_every_write_is_its_own(self) -> None:
        first, second = terms_of({}), terms_of({})
        assert first.write.id != second.write.id
        assert uuid.UUID(first.write.id).version == 4

    def test_the_same_request_has_the_same_identity(self) -> None:
        headers = {"Idempotency-Key": "key-1"}
        assert terms_of(headers).write == terms_of(headers).write
        assert uuid.UUID(terms_of(headers).write.id).version == 5

    def test_another_key_user_or_route_is_another_write(self) -> None:
        def other_route(caller: Caller, terms: Terms) -> None: ...

        sent = request("{}", headers={"idempotency-key": "k"})
        elsewhere = Binder(other_route, "POST", "/other").arguments(sent, CALLER)["terms"]
        writes = [
            terms_of({"idempotency-key": "k"}).write.id,
            terms_of({"idempotency-key": "K"}).write.id,
            terms_of({"idempotency-key": "k"}, caller=Caller("bob")).write.id,
            terms_of({"idempotency-key": "k"}, caller=None).write.id,
            elsewhere.write.id,
        ]
        assert len(set(writes)) == len(writes)

    def test_users_and_keys_cannot_be_joined_differently_to_the_same_name(self) -> None:
        one = terms_of({"idempotency-key": 'b","c'}, caller=Caller("a")).write.id
        other = terms_of({"idempotency-key": "c"}, caller=Caller('a","b')).write.id
        assert one != other

    def test_other_content_has_another_fingerprint_under_the_same_identity(self) -> None:
        headers = {"idempotency-key": "k"}
        sent = [
            request("{}", headers=headers),
            request("{ }", headers=headers),
            request("{}", headers=headers, path="/things/t-2"),
        ]
        writes = [bind("terms", Terms, one).write for one in sent]
        assert len({write.id for write in writes}) == 1
        assert len({write.fingerprint for write in writes}) == 3

    def test_an_identity_fits_its_register_entry(self) -> None:
        """Entries are split at spaces: neither part may hold one."""
        write = terms_of({"idempotency-key": "k"}).write
        assert len(write.entry("clock").split(" ")) == 3

    @pytest.mark.parametrize("key", ["!", "~", "a" * 255, "a,b", '"quoted"'])
    def test_usable(self, key: str) -> None:
        assert terms_of({"idempotency-key": key}).write.fingerprint != "-"

    @pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "é", "a\n", "\x7f", "a\x00"])
    def test_unusable(self, key: str) -> None:
        with pytest.raises(MalformedRequest) as refused:
            terms_of({"idempotency-key": key})
        assert pointers(refused.value) == ["/header/idempotency-key"]


class TestIfMatch:
    @pytest.mark.parametrize(
        ("value", "versions"),
        [
            (None, None),
            ("*", None),
            (" * ", None),
            ('"3"', {3}),
            ('  "3"  ', {3}),
            ('"1", "2" ,"12"', {1, 2, 12}),
            ('"1","1"', {1}),
            ('W/"3"', set()),
            ('W/"3", "4"', {4}),
            ('"0"', set()),
            ('"03"', set()),
            ('"-1"', set()),
            ('"1.0"', set()),
            ('"abc"', set()),
            ('""', set()),
            ('"é"', set()),
            ('"a,b"', set()),
            ('"3,4", "5"', {5}),
            ('"9999999999999999"', {9999999999999999}),
            ('"99999999999999999"', set()),
        ],
    )
    def test_versions(self, value: str | None, versions: set[int] | None) -> None:
        """A tag that this service never gave matches nothing, which is not the same as no condition."""
        assert terms_of({} if value is None else {"if-match": value}).versions == versions

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "3",
            '"3',
            '3"',
            "'3'",
            '"3" "4"',
            '"3",',
            ',"3"',
            '"3"; "4"',
            'w/"3"',
            '*, "3"',
            '"a b"',
            '"a"b"',
            '"\u0663"',
        ],
    )
    def test_junk_is_malformed_rather_than_no_condition(self, value: str) -> None:
        with pytest.raises(MalformedRequest) as refused:
            terms_of({"if-match": value})
        assert pointers(refused.value) == ["/header/if-match"]

    def test_more_tags_than_a_condition_can_hold(self) -> None:
        """DynamoDB's IN takes 100 operands: the 101st would come back as a fault of ours."""
        tags = [f'"{number}"' for number in range(1, 102)]
        assert terms_of({"if-match": ",".join(tags[:100])}).versions == set(range(1, 101))
        with pytest.raises(MalformedRequest):
            terms_of({"if-match": ",".join(tags)})

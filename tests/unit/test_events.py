"""Events of HTTP APIs (payload 2.0 and 1.0) and of REST APIs become one kind of Request."""

from base64 import b64encode

import pytest

from shared.errors import MalformedRequest, PayloadTooLarge
from shared.events import MAX_BODY_BYTES, Request, event_path, gateway_request_id
from tests.support.recorded import EVENTS, recorded_event

RECORDED = sorted(path.stem for path in EVENTS.glob("*.json"))


def read(name: str, **changes: object) -> Request:
    return Request.of(recorded_event(name, **changes), "id")


def with_body(body: object, *, is_base64: bool = False) -> Request:
    return read("http_api_v2_list", body=body, isBase64Encoded=is_base64)


class TestHttpApiV2:
    def test_a_get(self) -> None:
        request = read("http_api_v2_list")
        assert (request.method, request.path, request.request_id) == ("GET", "/reports", "id")
        assert request.path_parameters == {}
        assert request.header("authorization") == "Bearer eyJraWQiOiJ0ZXN0In0.e30.c2ln"

    def test_the_query_is_decoded_and_keeps_empty_values(self) -> None:
        assert read("http_api_v2_list").query == {
            "limit": ["5"],
            "cursor": ["WzEsIjIwMjYi+LXQ"],
            "note": ["café au lait"],
            "empty": [""],
        }

    def test_a_repeated_name_keeps_every_value_that_the_joined_form_would_merge(self) -> None:
        request = read("http_api_v2_list", rawQueryString="a=1,2&a=3", queryStringParameters={"a": "1,2,3"})
        assert request.query == {"a": ["1,2", "3"]}

    def test_bytes_that_are_not_utf_8_are_replaced_not_raised(self) -> None:
        assert read("http_api_v2_list", rawQueryString="a=%ff&%zz=1").query == {"a": ["\ufffd"], "%zz": ["1"]}

    @pytest.mark.parametrize("raw", ["", None])
    def test_no_query(self, raw: str | None) -> None:
        assert read("http_api_v2_list", rawQueryString=raw).query == {}

    def test_too_many_query_fields_are_malformed(self) -> None:
        assert len(read("http_api_v2_list", rawQueryString="&".join(f"a{n}=" for n in range(50))).query) == 50
        with pytest.raises(MalformedRequest, match="more than 50"):
            read("http_api_v2_list", rawQueryString="&".join(f"a{n}=" for n in range(51)))

    def test_path_parameters_are_taken_as_the_gateway_decoded_them(self) -> None:
        """Decoding a second time would make `%25` of a product id a bare `%`, and `%2e%2e` of another `..`."""
        assert read("http_api_v2_favorite").path_parameters == {"report_id": "7b0c", "product_id": "a b/50%25"}

    def test_a_base64_body(self) -> None:
        assert read("http_api_v2_create_base64").body().decode() == '{"title": "Grüße aus Köln"}'


class TestHttpApiV1:
    def test_a_get(self) -> None:
        request = read("http_api_v1_list")
        assert (request.method, request.path) == ("GET", "/reports/a%2520b")
        assert request.query == {"limit": ["7"], "tag": ["a", "b"]}

    def test_path_parameters_are_taken_as_they_are(self) -> None:
        assert read("http_api_v1_list").path_parameters == {"report_id": "a%20b"}

    def test_every_value_of_a_header_counts(self) -> None:
        assert read("http_api_v1_list").header("if-match") == '"1", "2"'

    def test_single_values_serve_where_the_multiple_are_absent(self) -> None:
        request = read("http_api_v1_list", multiValueHeaders=None, multiValueQueryStringParameters=None)
        assert request.query == {"limit": ["7"], "tag": ["b"]}
        assert request.header("if-match") == '"2"'


class TestRestApi:
    def test_path_parameters_are_percent_decoded_once(self) -> None:
        assert read("rest_api_update").path_parameters == {"report_id": "7b0c", "product_id": "a b/50%"}

    def test_a_double_encoded_parameter_is_decoded_once(self) -> None:
        event = read("rest_api_update", pathParameters={"product_id": "%252e%ff"})
        assert event.path_parameters == {"product_id": "%2e\ufffd"}

    def test_header_names_of_any_case_are_one_header(self) -> None:
        """Two Authorization headers must be seen as two: which of them counts is not for an attacker to choose."""
        assert read("rest_api_update").headers["authorization"] == [
            "Bearer eyJraWQiOiJ0ZXN0In0.e30.c2ln",
            "Bearer another",
        ]

    def test_absent_query(self) -> None:
        assert read("rest_api_update").query == {}

    def test_the_body_is_utf_8(self) -> None:
        assert read("rest_api_update").body() == '{"n": "ü"}'.encode()


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("member", ["headers", "multiValueHeaders", "pathParameters", "body", "rawQueryString"])
def test_what_is_null_or_absent_is_empty(name: str, member: str) -> None:
    event = recorded_event(name)
    for lacking in ({**event, member: None}, {key: value for key, value in event.items() if key != member}):
        request = Request.of(lacking, "id")
        assert isinstance(request.body(), bytes)
        assert request.header("x-absent") is None
        assert member != "pathParameters" or request.path_parameters == {}


@pytest.mark.parametrize("name", RECORDED)
def test_header_names_are_lower_case(name: str) -> None:
    headers = read(name).headers
    assert "host" in headers
    assert all(key == key.lower() for key in headers)


@pytest.mark.parametrize("case", [str.upper, str.title, str.lower])
def test_payload_2_headers_of_any_case(case: "type[str]") -> None:
    assert read("http_api_v2_list", headers={str(case("if-match")): "*"}).header("if-match") == "*"


class TestBody:
    @pytest.mark.parametrize("body", [None, ""])
    def test_none(self, body: str | None) -> None:
        assert with_body(body).body() == b""
        assert with_body(body, is_base64=True).body() == b""

    @pytest.mark.parametrize("body", ["e30", "e30=!", "e3\n0=", "ü30=", "=", "\ud800"])
    def test_wrong_base64_is_malformed(self, body: str) -> None:
        with pytest.raises(MalformedRequest, match="base64"):
            with_body(body, is_base64=True).body()

    @pytest.mark.parametrize("is_base64", [False, True])
    def test_the_limit_is_of_decoded_bytes(self, is_base64: bool) -> None:
        def of(size: int) -> Request:
            content = b"x" * size
            return with_body((b64encode(content) if is_base64 else content).decode(), is_base64=is_base64)

        assert len(of(MAX_BODY_BYTES).body()) == MAX_BODY_BYTES
        for excess in (1, 2, 3, MAX_BODY_BYTES):
            with pytest.raises(PayloadTooLarge, match=str(MAX_BODY_BYTES)):
                of(MAX_BODY_BYTES + excess).body()

    def test_characters_are_counted_as_utf_8(self) -> None:
        assert len(with_body("é" * (MAX_BODY_BYTES // 2)).body()) == MAX_BODY_BYTES
        with pytest.raises(PayloadTooLarge):
            with_body("é" * (MAX_BODY_BYTES // 2 + 1)).body()

    def test_half_a_surrogate_pair_is_left_to_the_parser(self) -> None:
        with pytest.raises(UnicodeDecodeError):
            with_body('"\ud800"').body().decode()


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({}, "/"),
        ({"version": "2.0", "rawPath": "/a"}, "/a"),
        ({"path": "/b"}, "/b"),
        ({"version": "2.0", "rawPath": "", "path": None}, "/"),
        ({"version": "2.0", "rawPath": "/a b/50%/é?#"}, "/a%20b/50%25/%C3%A9%3F%23"),
        ({"version": "1.0", "path": "/a b"}, "/a%20b"),
        ({"path": "/a%20b"}, "/a%20b"),
        ({"version": "2.0", "rawPath": "/\ud800"}, "/%ED%A0%80"),
    ],
)
def test_the_path_of_an_event_is_percent_encoded_once(event: dict[str, object], path: str) -> None:
    """HTTP APIs decode it before they pass it on, REST APIs do not; an `instance` is a URI reference either way."""
    assert event_path(event) == path


@pytest.mark.parametrize(
    ("context", "request_id"),
    [({"requestId": "r"}, "r"), ({"requestId": ""}, None), ({"requestId": 7}, None), ({}, None), (None, None)],
)
def test_the_gateways_request_id(context: object, request_id: str | None) -> None:
    assert gateway_request_id({"requestContext": context}) == request_id
    assert gateway_request_id({}) is None


class TestBaseUrl:
    """The address that answers name: where the gateway says it was called, not what a Host header says."""

    def address(self, domain: str | None, stage: str | None = "$default", host: str = "evil.example") -> str:
        event = recorded_event("http_api_v2_list")
        context = {**event["requestContext"], "domainName": domain, "stage": stage}
        return Request.of({**event, "requestContext": context, "headers": {"Host": host}}, "id").base_url

    def test_the_domain_of_the_gateway(self) -> None:
        assert read("http_api_v2_list").base_url == "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"

    def test_a_stage_of_the_gateways_own_domain_is_part_of_it(self) -> None:
        assert self.address("x.execute-api.eu-west-1.amazonaws.com", "v1").endswith(".amazonaws.com/v1")
        assert self.address("api.example.com", "v1") == "https://api.example.com"
        assert self.address("api.example.com", None) == "https://api.example.com"

    @pytest.mark.parametrize(
        ("path", "base"),
        [("/user/profile", ""), ("/v1/user/profile", "/v1"), ("/a b/c/user/profile", "/a%20b/c"), ("/elsewhere", "")],
    )
    def test_a_custom_domain_that_maps_the_api_to_a_path(self, path: str, base: str) -> None:
        event = recorded_event("http_api_v2_list") | {"rawPath": path, "routeKey": "GET /user/profile"}
        context = {**event["requestContext"], "domainName": "api.example.com", "stage": "v7"}
        request = Request.of({**event, "requestContext": context}, "id")
        assert request.base_url == f"https://api.example.com{base}"

    def test_a_custom_domain_whose_path_has_parameters(self) -> None:
        event = recorded_event("http_api_v2_list")
        event |= {"rawPath": "/v1/reports/a/b", "routeKey": "GET /reports/{report_id}"}
        event |= {"pathParameters": {"report_id": "a/b"}}
        context = {**event["requestContext"], "domainName": "api.example.com"}
        assert Request.of({**event, "requestContext": context}, "id").base_url == "https://api.example.com/v1"

    @pytest.mark.parametrize("domain", ["localhost", "localhost:3001", "127.0.0.1:3001", "[::1]:3001", None])
    def test_a_laptops_gateway(self, domain: str | None) -> None:
        assert self.address(domain, host="127.0.0.1:3001") == "http://127.0.0.1:3001"

    def test_a_laptops_gateway_that_names_its_port_itself(self) -> None:
        event = recorded_event("http_api_v2_list")
        context = {**event["requestContext"], "domainName": "localhost:3001"}
        assert Request.of({**event, "requestContext": context, "headers": {}}, "id").base_url == "http://localhost:3001"

"""What fuzzing found stays found: every input that is kept, read as its target reads it; and the fuzzer's own parts."""

import inspect
import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from shared.database import cursors
from shared.events import Request
from tests.proof.fuzz import json_mutation
from tests.proof.fuzz.broken import BROKEN, Broken
from tests.proof.fuzz.distil import distilled, steps
from tests.proof.fuzz.filter_rules import lets_through
from tests.proof.fuzz.gateway import FORMS, HttpRequest, Router
from tests.proof.fuzz.strict_json import base64url, strict_object
from tests.proof.fuzz.target import Target, from_line, to_line
from tests.proof.fuzz.targets import TARGETS, found, inputs
from tests.support.cases import CASES

FOUND = [(name, file) for name in TARGETS for file in found(name)]
ALL = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))


@pytest.mark.parametrize(("name", "file"), FOUND, ids=[f"{name}/{file.name}" for name, file in FOUND])
def test_what_was_found_stays_found(name: str, file: Path) -> None:
    assert TARGETS[name].check(file.read_bytes()) in TARGETS[name].labels


@ALL
def test_the_inputs_to_begin_with_come_to_every_answer(target: Target) -> None:
    assert {target.check(data) for data in inputs(target.name)} == set(target.labels)


@ALL
def test_an_input_is_made_of_another_by_a_seed_alone(target: Target) -> None:
    for number, data in enumerate(inputs(target.name)[:8]):
        made = [target.mutate(data, _source(number), lambda octets, longest: octets[:-1][:longest], 4096) for _ in "ab"]
        assert made[0] == made[1]
        assert target.check(made[0][: target.max_length]) in target.labels


def test_ten_million_runs_are_shared_out() -> None:
    assert sum(target.runs for target in TARGETS.values()) == 10_000_000


def test_every_route_is_among_the_answers() -> None:
    routes = {f"accepted: {' '.join(key)}" for key in CASES}
    assert routes <= set(TARGETS["request"].labels)


def test_inputs_are_kept_as_lines() -> None:
    octets = bytes(range(256)) + b"\\n\n\\"
    assert "\n" not in to_line(octets)
    assert from_line(to_line(octets)) == octets


def test_of_what_was_reached_is_kept_what_leads_another_way() -> None:
    target = TARGETS["cursor"]
    assert steps(target.check, b"AA") != steps(target.check, target.seeds()[0])
    assert distilled(target, list(target.seeds())) == []
    beginner = replace(target, seeds=lambda: target.seeds()[:1])
    assert 0 < len(distilled(beginner, list(target.seeds()))) < len(target.seeds())


class TestBroken:
    @pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
    def test_each_has_its_check_to_take_out(self, broken: Broken) -> None:
        assert inspect.getsource(broken.function).count(broken.old) == 1
        assert broken.target in TARGETS

    def test_a_check_is_taken_out_for_whoever_has_the_function(self, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = next(broken for broken in BROKEN if broken.target == "cursor")
        junk = b"WzEsInQiLCAicCJd"
        assert TARGETS["cursor"].check(junk) == "refused"
        whole = cursors.decode_cursor.__code__
        try:
            broken.take_out()
            with pytest.raises(AssertionError):
                TARGETS["cursor"].check(junk)
        finally:
            cursors.decode_cursor.__code__ = whole

    def test_one_whose_check_is_gone_is_told(self) -> None:
        with pytest.raises(ValueError, match="'no such text' is there 0 times"):
            Broken("x", "cursor", cursors.decode_cursor, "no such text", "").take_out()


class TestMutation:
    def test_what_is_parsed_is_written_as_it_was(self) -> None:
        text = b'{"a":1.50,"a":[true,null,{"b":"\\u00e9\\ud800"}],"n":NaN}'
        assert json_mutation.dumps(json_mutation.parse(text)).encode() == text

    def test_it_ends_and_is_mostly_json(self) -> None:
        text = b'{"a":[1,{"b":"x"}],"c":{"d":null}}'
        known = json_mutation.Vocabulary(("a", "e"), ("1", "[]"), [text])
        made = [
            json_mutation.mutate(text, _source(seed), lambda octets, _: octets[1:], 4096, known) for seed in range(200)
        ]
        assert len(set(made)) > 100
        assert sum(_is_json(each) for each in made) > 150

    def test_what_is_no_json_is_left_for_what_is(self) -> None:
        known = json_mutation.Vocabulary((), (), [b"[]"])
        made = [json_mutation.mutate(b"{", _source(seed), lambda octets, _: octets, 99, known) for seed in range(50)]
        assert sum(_is_json(each) for each in made) > 40


class TestRules:
    @pytest.mark.parametrize("encoded", [b"AB", b"AAA=", b"A", b"A A", b"A+", b"\xff"])
    def test_base64url_in_another_form(self, encoded: bytes) -> None:
        assert base64url(encoded) is None

    @pytest.mark.parametrize(
        "text",
        [
            b"[]",
            b'{"a":1,"a":1}',
            b'{"a":NaN}',
            b'{"a":"\\ud800"}',
            b"\xff",
            b"{" * 9,
            b'{"a":' + b"[" * 32 + b"]" * 32 + b"}",
        ],
    )
    def test_no_strict_object(self, text: bytes) -> None:
        assert strict_object(text) is None

    def test_a_strict_object_whose_brackets_are_in_a_string(self) -> None:
        assert strict_object(b'{"a":"' + b'[\\"' * 40 + b'"}') == {"a": '["' * 40}

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ({"a": 1}, True),
            ({"a": {"$ne": 1}}, False),
            ({"b": None}, True),
            ({"c.d": {"$gt": 1}}, True),
            ({"a": True}, False),
        ],
    )
    def test_a_filter(self, condition: dict[str, object], expected: bool) -> None:
        assert lets_through(condition, {"a": [1, "x"], "c": [{"d": 2}, 3]}) is expected


class TestGateway:
    ROUTER = Router([("GET", "/reports/{report_id}"), ("GET", "/reports/all")])
    TEXT = b"GET /reports/a%2Fb?x=1&x=%C3%BC %b\nX-A: 1\nx-a: 2\n\n\xff"

    @pytest.mark.parametrize("form", FORMS)
    def test_every_form_tells_the_same(self, form: str) -> None:
        request = HttpRequest.parse(self.TEXT.replace(b"%b", form.encode()))
        assert HttpRequest.parse(request.dumps()) == request
        routed = self.ROUTER.event_of(request)
        assert routed
        route, event = routed
        read = Request.of(event, "id")
        assert route == ("GET", "/reports/{report_id}")
        assert (read.method, read.path_parameters, read.query) == ("GET", {"report_id": "a/b"}, {"x": ["1", "\u00fc"]})
        assert (read.header("x-a") or "").replace(" ", "") == "1,2"
        assert read.body() == b"\xff"

    def test_what_has_no_route_is_the_gateways_to_answer(self) -> None:
        assert self.ROUTER.event_of(HttpRequest.parse(b"POST /reports/1 2.0\n\n")) is None
        assert self.ROUTER.event_of(HttpRequest.parse(b"")) is None

    def test_fixed_words_come_before_parameters(self) -> None:
        routed = self.ROUTER.event_of(HttpRequest.parse(b"GET /reports/all 2.0\n\n"))
        assert routed
        assert routed[0] == ("GET", "/reports/all")


def _source(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - to be repeated


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

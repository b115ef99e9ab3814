"""The machinery of the suite `mutation`: what it finds in a source, what it makes of it, and how it runs it."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.proof.mutation import ledger, scope
from tests.proof.mutation.children import in_child
from tests.proof.mutation.ledger import Ledger
from tests.proof.mutation.mutants import all_mutants, code_of, mutants_of, probed_code, tree_of, unchanged_code
from tests.proof.mutation.swapping import Live

MODULE = "shared/database/made_up.py"

GUARDED = """
def read(row, owner, limit=3):
    if row is None or row["user_id"] != owner:
        raise LookupError
    return row["value"]
"""


def changes(source: str, module: str = MODULE) -> list[str]:
    return [mutant.change for mutant in mutants_of(module, source)]


def run(source: str, change: str, function: str, module: str = MODULE) -> Callable[..., Any]:
    """The function as it is in the mutant of that change."""
    (mutant,) = (mutant for mutant in mutants_of(module, source) if mutant.change == change)
    made: dict[str, Any] = {}
    exec(compile(tree_of(mutant, source), "made up", "exec"), made)  # noqa: S102 - made up above
    found: Callable[..., Any] = made[function]
    return found


class TestRefusals:
    def test_a_refusal_is_taken_out_whole_and_by_each_of_its_reasons(self) -> None:
        assert changes(GUARDED) == [
            "no refusal: row is None or row['user_id'] != owner",
            "without operand: row is None",
            "without operand: row['user_id'] != owner",
        ]

    def test_what_is_taken_out_is_not_refused_any_more(self) -> None:
        foreign = {"user_id": "bob", "value": 1}
        assert run(GUARDED, "without operand: row['user_id'] != owner", "read")(foreign, "alice") == 1
        with pytest.raises(LookupError):
            run(GUARDED, "without operand: row['user_id'] != owner", "read")(None, "alice")
        with pytest.raises(TypeError, match="not subscriptable"):
            run(GUARDED, "without operand: row is None", "read")(None, "alice")

    @pytest.mark.parametrize(
        ("source", "change", "argument", "expected"),
        [
            ("def f(a):\n    if a:\n        return 1\n    return 2", "no exit: a", True, 2),
            ("def f(a) -> bool:\n    return a > 1", "taken for true: a > 1", 0, True),
            ("def f(a):\n    return [x for x in a if x]", "no filter: x", [0, 1], [0, 1]),
            ("def f(a):\n    check_all(a)\n    return 1", "skipped: check_all(a)", 0, 1),
            ("def f(a):\n    return 1 if a == 1 else 2", "taken for true: a == 1", 0, 1),
            ("def f(a):\n    return 1 if a == 1 else 2", "taken for false: a == 1", 1, 2),
            (
                "def f(a):\n    return g(lambda row: not row, a)\ndef g(f, a):\n    return f(a)",
                "taken for true: not row",
                1,
                True,
            ),
        ],
    )
    def test_other_ways_to_check(self, source: str, change: str, argument: object, expected: object) -> None:
        assert run(source, change, "f")(argument) == expected

    def test_a_choice_of_a_value_is_no_check(self) -> None:
        assert changes("def f(a):\n    return a or 1") == []

    def test_boundaries_are_moved_where_tokens_are_checked(self) -> None:
        source = "def f(a):\n    return 0 < a <= 2"
        assert changes(source, "shared/auth.py") == ["other boundary 0: 0 < a <= 2", "other boundary 1: 0 < a <= 2"]
        assert run(source, "other boundary 0: 0 < a <= 2", "f", "shared/auth.py")(0)
        assert not run(source, "other boundary 1: 0 < a <= 2", "f", "shared/auth.py")(2)
        assert changes(source) == []

    def test_what_computes_is_left_alone(self) -> None:
        assert changes(GUARDED, "shared/rendering/columns.py") == []


class TestConditionsAndOwners:
    def test_each_side_of_a_condition_is_taken_out(self) -> None:
        source = "def f(owned, condition):\n    return owned & condition"
        assert run(source, "without right: owned & condition", "f")(1, 2) == 1
        assert run(source, "without left: owned & condition", "f")(1, 2) == 2

    def test_a_condition_holds_for_every_row(self) -> None:
        source = "def f(call, text):\n    return call(ConditionExpression=text)"
        made = run(source, "ConditionExpression always: text", "f")
        assert made(dict, "a = :a") == {"ConditionExpression": "(a = :a OR (NOT a = :a))"}

    def test_a_put_loses_its_precondition(self) -> None:
        source = "def f(put, etag):\n    return put(if_match=etag, if_absent=etag is None)"
        assert run(source, "if_match: any object: etag", "f")(dict, "e") == {"if_match": None, "if_absent": False}
        assert run(source, "if_absent: also over an object: etag is None", "f")(dict, None)["if_absent"] is False

    def test_a_form_loses_a_condition(self) -> None:
        source = "def f(post, size):\n    return post(Conditions=[{'key': 'a'}, ['range', size]])"
        made = run(source, "form without ['range', size]: [{'key': 'a'}, ['range', size]]", "f")
        assert made(dict, 1) == {"Conditions": [{"key": "a"}]}

    def test_a_key_gets_another_owner(self) -> None:
        source = "def f(user_id):\n    return f'{user_id}/x', (user_id, 1)"
        assert run(source, "another owner: user_id", "f")("alice")[0] == "shared/x"
        assert run(source, "another owner: user_id #2", "f")("alice") == ("alice/x", ("shared", 1))

    def test_a_handler_takes_another_for_its_caller(self) -> None:
        source = "def handler(caller):\n    return caller.user_id"
        assert changes(source, "handlers/made_up.py") == ["another owner: caller.user_id"]
        assert changes(source) == []

    def test_a_catalogue_is_given_unasked(self) -> None:
        source = "def f(caller, query):\n    return owner_to_write(caller, query.catalogue)"
        assert changes(source) == ["unasked: owner_to_write(caller, query.catalogue)"]

    def test_a_model_takes_more_members(self) -> None:
        source = "class Body:\n    model_config = dict(extra='forbid')"
        assert run(source, "extra: more members: 'forbid'", "Body").model_config == {"extra": "ignore"}  # type: ignore[attr-defined]


class TestNames:
    def test_moved_lines_change_no_name(self) -> None:
        assert changes(GUARDED) == changes("\n\n# moved\n" + GUARDED)

    def test_checks_that_read_alike_have_names_of_their_own(self) -> None:
        twice = "def f(a):\n    if a:\n        raise A\n    if a:\n        raise B"
        assert changes(twice) == ["no refusal: a", "no refusal: a #2"]

    def test_every_mutant_of_the_code_has_a_name_and_a_kind_of_its_own(self) -> None:
        mutants = all_mutants()
        assert len({mutant.name for mutant in mutants}) == len(mutants) > 500
        assert {mutant.kind for mutant in mutants} == set(scope.KINDS)


@pytest.fixture(scope="module")
def live() -> Live:
    return Live()


class TestExchange:
    def test_a_mutant_is_in_everybodys_hands_and_gone_again(self, live: Live) -> None:
        from shared.database.writes import is_live

        (mutant,) = (m for m in all_mutants() if m.function == "is_live" and m.change.startswith("taken for true"))
        assert not is_live({"deleted_at": "now"})
        assert live.become(mutant) == 1
        assert is_live({"deleted_at": "now"})
        assert live.exchange(unchanged_code(mutant.module)) == 1
        assert not is_live({"deleted_at": "now"})

    def test_what_the_code_remembers_goes_with_it(self, live: Live) -> None:
        from shared.auth import _parse_header

        _parse_header(b"e30")
        live.exchange(unchanged_code("shared/auth.py"))
        assert _parse_header.cache_info().currsize == 0

    def test_probed_code_does_the_same_and_tells(self) -> None:
        code, mutants = probed_code("shared/exports.py", 0)
        assert mutants == mutants_of("shared/exports.py", (scope.SOURCE / "shared/exports.py").read_text()) == []
        code, mutants = probed_code("shared/scope.py", 7)
        told: list[int] = []
        made: dict[str, Any] = {
            "_reached_checks": lambda *numbers: told.extend(numbers),
            "__name__": "shared.made_up",
            "__package__": "shared",
        }
        exec(code, made)  # noqa: S102 - our own code
        made["Scope"]().ensure_time_for_a_call()
        checks = [mutant.function for mutant in mutants]
        assert told == [7 + checks.index("Scope.ensure_time_for_a_call")]

    def test_every_mutant_compiles(self) -> None:
        assert all(isinstance(code_of(mutant).co_name, str) for mutant in all_mutants()[::60])


class TestChildren:
    def test_an_answer_comes_back_and_nothing_else_does(self) -> None:
        changed: list[int] = []

        def work() -> int:
            changed.append(1)
            return os.getpid()

        assert in_child(work).answer != os.getpid()
        assert changed == []

    def test_one_that_breaks_off_says_why(self) -> None:
        ended = in_child(lambda: 1 // 0)
        assert ended.broke_off
        assert "ZeroDivisionError" in ended.said

    def test_one_that_never_ends_is_ended(self) -> None:
        def work() -> None:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            time.sleep(30)

        assert in_child(work).took_too_long


class TestLedger:
    mutants = mutants_of(MODULE, GUARDED)
    test = "tests/unit/proof/test_mutation.py::TestLedger::test_what_is_known_of_all_is_well"

    def known(self) -> dict[str, str]:
        return {mutant.name: f"{self.test}[a]" for mutant in self.mutants}

    def test_what_is_known_of_all_is_well(self) -> None:
        assert Ledger(self.known(), {}).faults(self.mutants) == []

    def test_a_new_check_is_told(self) -> None:
        known = self.known()
        name, _ = known.popitem()
        (fault,) = Ledger(known, {}).faults(self.mutants)
        assert f"nothing is known of the mutant {name}" in fault
        assert fault.startswith(f"src/{MODULE}:3: ")

    def test_a_mutant_that_changes_nothing_needs_its_reason(self) -> None:
        known = self.known()
        name, _ = known.popitem()
        assert Ledger(known, {name: "the caller has looked at the row already"}).faults(self.mutants) == []
        (fault,) = Ledger(known, {name: "equivalent"}).faults(self.mutants)
        assert "no reason" in fault

    def test_what_is_not_there_any_more_is_told(self) -> None:
        gone = {"shared/gone.py::f::no refusal: a": self.test}
        reason = {"shared/gone.py::f::no exit: a": "the caller has looked at the row already"}
        lost = dict.fromkeys(self.known(), "tests/unit/proof/test_mutation.py::test_gone")
        assert len(Ledger(self.known() | gone, reason).faults(self.mutants)) == 2
        assert len(Ledger(lost, {}).faults(self.mutants)) == 3

    def test_one_that_is_noticed_is_not_equivalent(self) -> None:
        name = self.mutants[0].name
        (fault,) = Ledger(self.known(), {name: "the caller has looked at the row already"}).faults(self.mutants)
        assert self.test in fault

    def test_what_is_kept_is_read_again(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger, "_KILLERS", tmp_path / "killers.json")
        monkeypatch.setattr(ledger, "_EQUIVALENTS", tmp_path / "equivalents.json")
        ledger.keep_killers(self.known())
        assert ledger.read() == Ledger(self.known(), {})

"""The command line: what goes together and what is said otherwise."""

from pathlib import Path

import pytest

from scripts.local import dev


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--aws"], "--aws needs --environment"),
        (["--aws", "--environment", "dev", "--reset"], "do not go with --aws"),
        (["--environment", "dev"], "go with --aws"),
        (["--region", "eu-west-1"], "go with --aws"),
        (["--aws", "--environment", "test"], "invalid choice: 'test'"),
        (["--port", "70000"], "not a port number"),
        (["--port", "-1"], "not a port number"),
        (["--port", "http"], "not a port number"),
    ],
)
def test_wrong_arguments(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        dev.main(arguments)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_a_token_needs_a_running_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scripts.local.stack.forget_aws", lambda environ: None)
    monkeypatch.setenv("K9_LOCAL_DIR", str(tmp_path))
    assert dev.main(["--token", "alice"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "The stack is not running: start ./scripts/dev.sh" in said.err


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scripts.local.stack.forget_aws", lambda environ: None)
    monkeypatch.setattr("scripts.local.signals.StopRequest.listen", lambda stop: None)
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("K9_LOCAL_DIR", str(blocked / "local"))
    assert dev.main([]) == 1
    assert f"The folder {blocked}/local cannot be made" in capsys.readouterr().err

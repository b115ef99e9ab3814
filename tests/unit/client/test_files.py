"""Files: exports of reports and of accounts, in an answer or at a presigned address."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from k9_api import Forbidden, RetryPolicy, TaskFailed, TransportError, UnexpectedAnswer, WaitTimeout
from tests.unit.client.world import Surface, World, ok

PLACE = "https://bucket.example.com/key?signature=secret"


def in_the_answer(content: bytes = b"PDF", **headers: str) -> httpx.Response:
    named = {"Content-Type": "application/pdf", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.Response(200, content=content, headers=named)


def link(length: int) -> httpx.Response:
    return ok({"url": PLACE, "expires_at": "2026-01-02T03:04:05Z", "bytes": length, "file_name": "report.zip"})


def export(client: Any) -> Any:
    return client.reports.export("r1", format="pdf", model_version="m")


def save_to(path: Path) -> Callable[[Any], Any]:
    return lambda client: client.reports.save_export("r1", path, format="zip")


class TestInMemory:
    def test_of_the_answer(self, surface: Surface, world: World) -> None:
        world.says(in_the_answer(Content_Disposition='attachment; filename="Beds.pdf"'))
        file = surface.run(export)
        assert (file.file_name, file.media_type, file.content) == ("Beds.pdf", "application/pdf", b"PDF")
        assert world.paths == ["GET /reports/r1/export?format=pdf&model_version=m"]

    @pytest.mark.parametrize(
        ("stated", "name"),
        [
            ("", "export"),
            ("attachment", "export"),
            ("attachment; filename=a.pdf", "a.pdf"),
            (r'attachment; filename="a \"b\".pdf"', 'a "b".pdf'),
            ("attachment; filename=\"Betten.pdf\"; filename*=UTF-8''Betten%20f%C3%BCr.pdf", "Betten für.pdf"),
            ('attachment; filename="../../etc/passwd"', "passwd"),
            ('attachment; filename="C:\\\\x\\\\a.pdf"', "a.pdf"),
            ("attachment; filename*=UTF-8''..%2Fa.pdf", "a.pdf"),
            ('attachment; filename="a/"', "export"),
        ],
    )
    def test_its_name_is_one_without_folders(self, surface: Surface, world: World, stated: str, name: str) -> None:
        world.says(in_the_answer(Content_Disposition=stated))
        assert surface.run(export).file_name == name

    def test_of_where_the_answer_leads(self, surface: Surface, world: World) -> None:
        world.says(link(3), httpx.Response(200, content=b"ZIP", headers={"Content-Type": "application/zip"}))
        file = surface.run(export)
        assert (file.file_name, file.media_type, file.content) == ("report.zip", "application/zip", b"ZIP")
        assert str(world.requests[1].url) == PLACE

    @pytest.mark.parametrize(("stated", "name"), [("../../a.zip", "a.zip"), ("..", "export"), ("", "export")])
    def test_the_name_that_a_link_gives_has_no_folders_either(
        self, surface: Surface, world: World, stated: str, name: str
    ) -> None:
        there = {"url": PLACE, "expires_at": "2026-01-02T03:04:05Z", "bytes": 3, "file_name": stated}
        world.says(ok(there), httpx.Response(200, content=b"ZIP"))
        assert surface.run(export).file_name == name

    def test_the_token_stays_with_the_api(self, surface: Surface, world: World) -> None:
        world.says(link(3), httpx.Response(200, content=b"ZIP"))
        surface.run(export)
        assert [header is not None for header in world.header("Authorization")] == [True, False]


class TestOnDisk:
    def test_of_the_answer(self, surface: Surface, world: World, tmp_path: Path) -> None:
        world.says(in_the_answer(b"ZIP"))
        assert surface.run(save_to(tmp_path / "a.zip")) == tmp_path / "a.zip"
        assert (tmp_path / "a.zip").read_bytes() == b"ZIP"

    def test_of_where_the_answer_leads(self, surface: Surface, world: World, tmp_path: Path) -> None:
        content = bytes(range(256)) * 1000
        world.says(link(len(content)), httpx.Response(200, content=content))
        surface.run(save_to(tmp_path / "a.zip"))
        assert (tmp_path / "a.zip").read_bytes() == content

    def test_a_download_that_breaks_off_begins_anew(self, surface: Surface, world: World, tmp_path: Path) -> None:
        world.says(link(4), breaking_off, httpx.Response(503), httpx.Response(200, content=b"good"))
        surface.run(save_to(tmp_path / "a.zip"))
        assert (tmp_path / "a.zip").read_bytes() == b"good"

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (httpx.Response(200, content=b"short"), UnexpectedAnswer),
            (httpx.Response(403, text="<Error><Code>AccessDenied</Code></Error>"), Forbidden),
            (httpx.ReadTimeout("slow"), TransportError),
        ],
        ids=["another length", "expired", "no answer"],
    )
    def test_what_fails_leaves_the_old_file_and_nothing_else(
        self,
        surface: Surface,
        world: World,
        tmp_path: Path,
        answer: httpx.Response | Exception,
        kind: type[Exception],
    ) -> None:
        (tmp_path / "a.zip").write_bytes(b"old")
        world.says(link(400), answer)
        with pytest.raises(kind) as caught:
            surface.run(save_to(tmp_path / "a.zip"), retries=RetryPolicy(attempts=1))
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.zip", b"old")]
        assert "secret" not in str(caught.value)

    def test_a_folder_that_is_not_there(self, surface: Surface, world: World, tmp_path: Path) -> None:
        world.says(in_the_answer())
        with pytest.raises(FileNotFoundError):
            surface.run(save_to(tmp_path / "none" / "a.zip"))


def breaking_off(request: httpx.Request) -> httpx.Response:
    """An answer of which some is there before the connection ends."""
    return httpx.Response(200, stream=_Broken())


class _Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Any:
        yield b"much more than four"
        raise httpx.ReadError("broken off")

    async def __aiter__(self) -> Any:
        yield b"much more than four"
        raise httpx.ReadError("broken off")


def account(state: str, **members: object) -> httpx.Response:
    return ok({"state": state, "url": None, "expires_at": None, "bytes": None, "error": None, **members})


class TestAccountExport:
    def test_is_waited_for_and_saved(self, surface: Surface, world: World, tmp_path: Path) -> None:
        done = account("done", url=PLACE, expires_at="2026-01-02T03:04:05Z", bytes=3)
        world.says(account("queued"), account("running"), done, httpx.Response(200, content=b"ZIP"))
        assert surface.run(lambda client: client.user.save_export(tmp_path / "me.zip")) == tmp_path / "me.zip"
        assert (tmp_path / "me.zip").read_bytes() == b"ZIP"
        assert world.slept == [0.5, 0.75]

    def test_the_state_once_it_is_done(self, surface: Surface, world: World) -> None:
        world.says(account("running"), account("done", url=PLACE, bytes=3))
        assert surface.run(lambda client: client.user.wait_for_export()).url == PLACE

    @pytest.mark.parametrize("state", ["failed", "absent"])
    def test_what_will_not_come(self, surface: Surface, world: World, tmp_path: Path, state: str) -> None:
        world.says(account(state))
        with pytest.raises(TaskFailed, match=state):
            surface.run(lambda client: client.user.save_export(tmp_path / "me.zip"))
        assert list(tmp_path.iterdir()) == []

    def test_why_it_failed(self, surface: Surface, world: World) -> None:
        world.says(account("failed", error="The worker ended."))
        with pytest.raises(TaskFailed, match=r"the export is failed: The worker ended\."):
            surface.run(lambda client: client.user.wait_for_export())

    def test_done_without_an_address(self, surface: Surface, world: World, tmp_path: Path) -> None:
        world.says(account("done"))
        with pytest.raises(TaskFailed, match="no address"):
            surface.run(lambda client: client.user.save_export(tmp_path / "me.zip"))

    def test_what_takes_too_long(self, surface: Surface, world: World) -> None:
        world.says(*[account("running")] * 5)
        with pytest.raises(WaitTimeout, match="after 2 s"):
            surface.run(lambda client: client.user.wait_for_export(timeout=2))
        assert sum(world.slept) == 2.0

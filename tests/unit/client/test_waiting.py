"""What goes on in the background: pictures, and the similarity matrix."""

from typing import Any

import httpx
import pytest

from k9_api import Forbidden, NotSendable, TaskFailed, Unavailable, WaitTimeout
from tests.unit.client.world import Surface, World, matrix, ok, problem, profile

PLACE = "https://bucket.example.com/"
OLD, NEW = "https://api.example.com/avatars/a/1", "https://api.example.com/avatars/a/2"


def form(most: int = 100) -> httpx.Response:
    fields = {"key": "uploads/u/1", "policy": "p", "Content-Type": "image/png"}
    return ok({"url": PLACE, "fields": fields, "expires_at": "2026-01-02T03:04:05Z", "max_bytes": most}, 201)


def upload(client: Any) -> Any:
    return client.user.upload_avatar(b"PNG", "image/png", timeout=10)


class TestAvatar:
    def test_is_sent_as_a_form_and_waited_for(self, surface: Surface, world: World) -> None:
        world.says(ok(profile(avatar_url=OLD)), form(), httpx.Response(204))
        world.says(ok(profile(avatar_url=OLD)), ok(profile(avatar_url=NEW, version=2)))
        assert surface.run(upload).avatar_url == NEW
        asked, sent = world.requests[1], world.requests[2]
        assert asked.content == b'{"content_type":"image/png"}'
        assert str(sent.url) == PLACE
        assert "Authorization" not in sent.headers
        assert sent.headers["Content-Type"].startswith("multipart/form-data; boundary=")
        names = [part.partition(b'name="')[2].partition(b'"')[0] for part in sent.content.split(b"--")[1:-1]]
        assert [name.decode() for name in names if name] == ["key", "policy", "Content-Type", "file"]
        assert b"Content-Type: image/png\r\n\r\nPNG\r\n" in sent.content

    def test_an_upload_that_breaks_off_is_sent_again(self, surface: Surface, world: World) -> None:
        world.says(ok(profile()), form(), httpx.WriteError("broken"), httpx.Response(503), httpx.Response(204))
        world.says(ok(profile(avatar_url=NEW)))
        surface.run(upload)
        assert [request.url.host for request in world.requests].count("bucket.example.com") == 3

    def test_an_image_that_is_too_large_is_not_sent(self, surface: Surface, world: World) -> None:
        world.says(ok(profile()), form(most=2))
        with pytest.raises(NotSendable, match="3 bytes; at most 2"):
            surface.run(upload)

    def test_what_the_bucket_refuses(self, surface: Surface, world: World) -> None:
        world.says(ok(profile()), form(), httpx.Response(403, text="<Error/>"))
        with pytest.raises(Forbidden):
            surface.run(upload)

    def test_what_the_api_refuses(self, surface: Surface, world: World) -> None:
        before = profile(avatar_url=OLD, avatar_error="an older one", version=4)
        world.says(ok(before), form(), httpx.Response(204), ok(before))
        world.says(ok({**before, "avatar_error": "is no image", "version": 5}))
        with pytest.raises(TaskFailed, match="is no image"):
            surface.run(upload)

    def test_what_is_never_judged(self, surface: Surface, world: World) -> None:
        world.says(ok(profile()), form(), httpx.Response(204), *[ok(profile())] * 10)
        with pytest.raises(WaitTimeout):
            surface.run(upload)
        assert sum(world.slept) == 10.0


class TestMatrix:
    def test_is_built_and_waited_for(self, surface: Surface, world: World) -> None:
        world.says(ok(matrix("queued"), 202), ok(matrix("running")), ok(matrix("done", rows=3)))
        assert surface.run(lambda client: client.similarity.build(model_version="m", k=2)).state == "queued"
        state = surface.run(lambda client: client.similarity.wait(model_version="m", catalogue="shared"))
        assert state.rows == 3
        assert world.paths[1:] == ["GET /embeddings/similarity?model_version=m&catalogue=shared"] * 2

    @pytest.mark.parametrize(
        ("state", "said"),
        [(matrix("failed", error="too large"), "failed: too large"), (matrix("absent"), "ask for it with build")],
        ids=["failed", "never asked for"],
    )
    def test_what_will_not_come(self, surface: Surface, world: World, state: dict[str, object], said: str) -> None:
        world.says(ok(state))
        with pytest.raises(TaskFailed, match=said):
            surface.run(lambda client: client.similarity.wait(model_version="m"))

    def test_a_problem_on_the_way(self, surface: Surface, world: World) -> None:
        world.says(ok(matrix("running")), *[problem(503, "unavailable")] * 4)
        with pytest.raises(Unavailable):
            surface.run(lambda client: client.similarity.wait(model_version="m"))

    def test_it_asks_ever_more_slowly(self, surface: Surface, world: World) -> None:
        world.says(*[ok(matrix("running"))] * 13)
        with pytest.raises(WaitTimeout):
            surface.run(lambda client: client.similarity.wait(model_version="m", timeout=40))
        assert world.slept[:3] == [0.5, 0.75, 1.125]
        assert max(world.slept) == 5.0

"""Lock files, as uv writes them: what is in them, and who asked for it."""

from pathlib import Path

import pytest

from scripts.supply.locks import LockError, read_input, read_lock, unasked

DIGEST = "0123456789abcdef" * 4
LOCK = f"""\
a-b[x, y]==1.0 \\
    --hash=sha256:{DIGEST} \\
    --hash=sha256:{DIGEST[::-1]}
    # via -r app.in
c==2 ; python_full_version < '3.12' \\
    --hash=sha256:{DIGEST}
    # via
    #   A_B
    #   d
d==3 \\
    --hash=sha256:{DIGEST}
    # via c
"""


def lock(folder: Path, text: str) -> Path:
    path = folder / "app.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_lock_is_read(tmp_path: Path) -> None:
    first, second, _ = read_lock(lock(tmp_path, LOCK))
    assert (first.pinned, first.hashes, first.via) == ("a-b==1.0", {DIGEST, DIGEST[::-1]}, ["-r app.in"])
    assert (second.marker, second.via) == ("python_full_version < '3.12'", ["a-b", "d"])


@pytest.mark.parametrize(
    "line",
    [
        "a>=1",
        "a",
        "a @ https://example.org/a.whl",
        "-e .",
        "--extra-index-url https://example.org",
        "a==1 --hash=md5:00",
        f"    --hash=sha256:{DIGEST[1:]}",
        f"    --hash=sha512:{DIGEST}",
        "a==1 ; extra == 'b' c\\",
    ],
)
def test_any_other_line_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(LockError, match=r"app\.txt, line 13"):
        read_lock(lock(tmp_path, f"{LOCK}{line}\n"))


def test_what_is_asked_for_by_other_files_counts(tmp_path: Path) -> None:
    (tmp_path / "core.in").write_text("# why\nA.B[x]==1.0\n", encoding="utf-8")
    (tmp_path / "app.in").write_text("-r core.in\nz  # any\n", encoding="utf-8")
    assert read_input(tmp_path / "app.in") == {"app.in": {"z": ""}, "core.in": {"a-b": "1.0"}}


@pytest.mark.parametrize("line", ["a>=1", "-c other.txt", "a==1; python_version < '3'"])
def test_an_input_of_another_form_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "app.in").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(LockError, match=r"app\.in"):
        read_input(tmp_path / "app.in")


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"app.in": {"a-b": "1.0"}}, []),
        ({"app.in": {}}, ["a-b", "c", "d"]),
        ({"other.in": {"a-b": "1.0"}}, ["a-b", "c", "d"]),
    ],
)
def test_two_that_ask_for_each_other_are_not_asked_for(
    tmp_path: Path, asked: dict[str, dict[str, str]], names: list[str]
) -> None:
    assert [one.name for one in unasked(read_lock(lock(tmp_path, LOCK)), asked)] == names

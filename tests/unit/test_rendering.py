"""Reports as files, read back with other programs' libraries: nothing is lost, and nothing is calculated."""

import csv
import io
import logging
import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from zipfile import ZipFile

import pytest
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape
from pypdf import PdfReader

from shared.models import json_text
from shared.models.report_export import ExportedFavorite, ExportFormat
from shared.rendering import csv_file, fonts, formats, pdf_file, xlsx_file, zip_file
from shared.rendering.columns import MAX_MEMBER_COLUMNS, FavoriteTable
from shared.rendering.file_names import content_disposition, file_name
from shared.rendering.texts import CUT
from tests.support.exported import (
    exported,
    favorite,
    favorite_of,
    pdf_pages,
    pdf_text,
    read_csv,
    read_document,
    sheet,
    values,
)

ALL_FORMATS: list[ExportFormat] = ["zip", "csv", "xlsx", "pdf"]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]
TEXTS = st.text(max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
PRODUCTS = st.dictionaries(TEXTS, JSON, max_size=5)
AWKWARD: dict[str, Any] = {
    "control": "a\x00\x01\x08\x0b\x1f\x7f\x85\u2028b",
    "emoji": "\U0001f436\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "nobody": "\ufffe\uffff\U0010ffff\ue000",
    "right": "\u05e9\u05dc\u05d5\u05dd \u202egpj.exe",
    "": "no name",
    "escape": "_x0041_",
    "spaces": "  two  ",
    "exact": Decimal("12345678901234567890.123456789"),
}


class TestEveryFormat:
    @pytest.mark.parametrize("name", ALL_FORMATS)
    @pytest.mark.parametrize(
        "report",
        [
            exported(),
            exported(reference=None),
            exported(favorite(), ExportedFavorite("missing")),
            exported(favorite_of("p", AWKWARD), reference=AWKWARD, title="\U0001f436 {nb} \u0394\u0416\u5831\ubcf4"),
            exported(favorite("x" * 256, text="y" * 100_000, words="word " * 20_000)),
            exported(*(favorite(f"p{one}", **{f"m{two}": one for two in range(100)}) for one in range(5))),
            exported(favorite(half="\ud83d"), title="half \ud83d", author="\udc36", reference={"\ud83d": "\udc36"}),
            exported(created_at="long ago", updated_at="long ago"),
            exported(updated_at="1970-01-01T00:00:00.000000Z"),
            exported(updated_at="9999-01-01T00:00:00.000000Z"),
        ],
        ids=["none", "no reference", "missing", "awkward", "long", "wide", "surrogates", "no time", "early", "late"],
    )
    def test_a_file_comes_out_and_nothing_is_logged(
        self, name: ExportFormat, report: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The libraries' warnings would print what somebody has written."""
        with caplog.at_level(logging.DEBUG):
            file = formats.render(name, report)
        assert file.name.endswith(f".{name}")
        assert file.media_type == formats.MEDIA_TYPES[name]
        assert len(file.body) > 20
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    @pytest.mark.parametrize("name", ALL_FORMATS)
    def test_the_same_version_is_the_same_file(self, name: ExportFormat, monkeypatch: pytest.MonkeyPatch) -> None:
        report = exported(favorite(text="\u5831"), favorite("q", None), reference={"b": 1, "a": [2]})
        first = formats.render(name, report).body
        monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
        assert formats.render(name, report).body == first


class TestCsv:
    def test_the_records(self) -> None:
        content = csv_file.render(
            exported(
                favorite("b", 0.9838699100999074, name='Rex, "the"\ndog', price=Decimal("249.90"), new=True),
                favorite("a", -0.5, deep={"list": [1, None, "\u00e9"]}, price=-5, nothing=None),
                ExportedFavorite("gone"),
            )
        )
        assert content.startswith(b"\xef\xbb\xbfproduct_id,score,product.deep,product.name,product.new,")
        assert content.count(b"\r\n") == 4
        assert read_csv(content) == [
            {
                "product_id": "b",
                "score": "0.9838699100999074",
                "product.deep": "",
                "product.name": 'Rex, "the"\ndog',
                "product.new": "true",
                "product.nothing": "",
                "product.price": "249.90",
            },
            {
                "product_id": "a",
                "score": "-0.5",
                "product.deep": '{"list":[1,null,"\u00e9"]}',
                "product.name": "",
                "product.new": "",
                "product.nothing": "",
                "product.price": "-5",
            },
            {
                "product_id": "gone",
                "score": "",
                **{f"product.{name}": "" for name in ("deep", "name", "new", "nothing", "price")},
            },
        ]

    @pytest.mark.parametrize("text", FORMULAS)
    def test_a_text_that_could_be_a_formula_has_an_apostrophe(self, text: str) -> None:
        (record,) = read_csv(csv_file.render(exported(favorite(text, x=text, **{text: 1}))))
        assert (record["product_id"], record["product.x"]) == (f"'{text}", f"'{text}")
        assert not any(name.startswith(text[0]) for name in record)

    def test_numbers_stay_numbers(self) -> None:
        numbers = {"a": -5, "b": -0.1, "c": Decimal("-1E+30"), "d": 123456789012345678901234567890}
        (record,) = read_csv(csv_file.render(exported(favorite_of("p", numbers))))
        assert {name: json_text.loads(record[f"product.{name}"]) for name in numbers} == {
            name: Decimal(str(number)) for name, number in numbers.items()
        }

    def test_no_favorites_leave_the_header(self) -> None:
        assert csv_file.render(exported()) == b"\xef\xbb\xbfproduct_id,score\r\n"

    @settings(max_examples=40)
    @given(TEXTS.filter(bool), PRODUCTS)
    def test_every_value_survives(self, product_id: str, product: dict[str, Any]) -> None:
        content = csv_file.render(exported(favorite_of(product_id, product)))
        (record,) = read_csv(content)
        assert _unquoted(record["product_id"], product_id) == product_id
        for name, value in product.items():
            cell = record[f"product.{name}"]
            if isinstance(value, str):
                assert _unquoted(cell, value) == value
            elif value is not None:
                assert json_text.loads(cell) == json_text.loads(json_text.dumps(value))

    @given(TEXTS)
    def test_no_cell_begins_like_a_formula(self, text: str) -> None:
        product = {f"{text}x": text, "y": [text], "z": {text: text}}
        content = csv_file.render(exported(favorite_of(text or "p", product)))
        for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")):
            assert not any(cell[:1] in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20") for cell in row if cell)


class TestColumns:
    def test_the_commonest_members_have_columns_and_the_others_share_one(self) -> None:
        common = {f"c{number:03}": number for number in range(MAX_MEMBER_COLUMNS)}
        report = exported(
            favorite_of("a", {**common, "rare": 1, "b": [2]}), favorite_of("b", common), ExportedFavorite("c")
        )
        table = FavoriteTable(report)
        assert table.header == ["product_id", "score", *(f"product.{name}" for name in common), "product"]
        first, second, third = table.rows()
        assert first[-1] == {"b": [2], "rare": 1}
        assert (second[-1], third[-1]) == (None, None)
        assert first[2:-1] == list(range(MAX_MEMBER_COLUMNS))

    def test_no_member_takes_the_name_of_another_column(self) -> None:
        header = FavoriteTable(exported(favorite_of("a", {"product_id": 1, "score": 2, "product": 3, "": 4}))).header
        assert len(set(header)) == len(header) == 6


class TestZip:
    def test_all_of_it_with_exact_numbers(self) -> None:
        reference = {"exact": Decimal("12345678901234567890.123456789"), "price": 249.99, "deep": [{"a": None}]}
        report = exported(favorite("a", 0.1 + 0.2, **reference), ExportedFavorite("b"), reference=reference)
        content = zip_file.render(report)
        document = read_document(content)
        assert document == json_text.loads(json_text.dumps(report.document()))
        assert (
            document["report"]["reference"]
            == document["reference"]["product"]
            == json_text.loads(json_text.dumps(reference))
        )
        assert document["favorites"][0]["score"] == Decimal(repr(0.1 + 0.2))
        assert document["favorites"][1] == {"product_id": "b", "score": None, "product": None}
        assert (document["model_version"], document["metric"], document["report"]["version"]) == ("m", "cosine", 3)

    def test_its_files_have_the_time_of_the_last_change(self) -> None:
        with ZipFile(io.BytesIO(zip_file.render(exported(favorite())))) as archive:
            assert archive.testzip() is None
            assert [entry.filename for entry in archive.infolist()] == ["report.json", "favorites.csv"]
            assert {entry.date_time for entry in archive.infolist()} == {(2026, 2, 1, 11, 12, 12)}
            assert archive.read("favorites.csv") == csv_file.render(exported(favorite()))


class TestXlsx:
    def test_the_sheets(self) -> None:
        content = xlsx_file.render(
            exported(
                favorite("a", 0.9838699100999074, name="Rex", price=249.99, new=True, deep={"x": [1]}, nothing=None),
                ExportedFavorite("b"),
                reference={"name": "Ref", "n": -5, "deep": {"a": 1}},
            )
        )
        told = dict(values(content, "Report"))
        assert told["Title"] == "My report"
        assert (told["Version"], told["Favorites"], told["Reference product"]) == (3, 2, "r")
        assert told["Score"] == "cosine, higher is better"
        assert (told["reference.name"], told["reference.n"], told["reference.deep"]) == ("Ref", -5, '{"a":1}')
        header, first, second = values(content, "Favorites")
        assert dict(zip(header, first, strict=True)) == {
            "product_id": "a",
            "score": pytest.approx(0.9838699100999074, abs=1e-15),
            "product.deep": '{"x":[1]}',
            "product.name": "Rex",
            "product.new": True,
            "product.nothing": None,
            "product.price": 249.99,
        }
        assert second == ["b", *[None] * 6]
        assert sheet(content, "Favorites").freeze_panes == "B2"

    def test_a_text_is_a_text(self) -> None:
        texts = [*FORMULAS, "https://example.com", "{=1}", "007", "1e5", "mailto:a@example.com"]
        named = {f"m{number:02}": text for number, text in enumerate(texts)}
        content = xlsx_file.render(exported(*(favorite(text, x=text) for text in texts), reference=named))
        rows = list(sheet(content, "Favorites").iter_rows(min_row=2))
        assert len(rows) == len(texts)
        for text, (product_id, _, cell) in zip(texts, rows, strict=True):
            for each in (product_id, cell):
                assert (each.data_type, _decoded(each.value)) == ("s", text)
                assert each.hyperlink is None
                assert each.quotePrefix == (text in FORMULAS)
        told = {row[0].value: row[1] for row in sheet(content, "Report").iter_rows()}
        for name, text in named.items():
            assert (told[f"reference.{name}"].data_type, _decoded(told[f"reference.{name}"].value)) == ("s", text)
        with ZipFile(io.BytesIO(content)) as archive:
            sheets = [archive.read(name) for name in archive.namelist() if "worksheets/" in name]
        assert len(sheets) == 2
        assert not any(b"<f>" in xml or b"hyperlink" in xml for xml in sheets)

    def test_a_number_is_one_where_excel_keeps_it(self) -> None:
        numbers: list[Any] = [-5, 0, 249.99, Decimal("0.1"), 123456789012345, 10**20, Decimal("-1E-130")]
        texts: list[Any] = [1234567890123456, -12345678901234567890, Decimal("1.23456789012345678"), 0.1 + 0.2]
        content = xlsx_file.render(exported(*(favorite(x=number) for number in (*numbers, *texts))))
        cells = [row[2] for row in sheet(content, "Favorites").iter_rows(min_row=2)]
        assert [cell.data_type for cell in cells] == ["n"] * len(numbers) + ["s"] * len(texts)
        assert [Decimal(str(cell.value)) for cell in cells] == [Decimal(str(each)) for each in (*numbers, *texts)]

    def test_a_cell_holds_so_much_and_says_what_is_missing(self) -> None:
        most = 32_767
        texts = {"a": "x" * most, "b": "x" * (most + 1), "c": "\U0001f436" * 20_000, "d": "\U0001f436" * (most // 2)}
        row = values(xlsx_file.render(exported(favorite_of("p", dict(texts)))), "Favorites")[1]
        assert row[2] == texts["a"]
        assert row[3] == "x" * (most - len(CUT)) + CUT
        assert row[4] == "\U0001f436" * ((most - len(CUT)) // 2) + CUT
        assert row[5] == texts["d"]

    def test_its_properties_are_the_reports(self) -> None:
        book = sheet(xlsx_file.render(exported()), "Report").parent
        assert book is not None
        assert (book.properties.title, book.sheetnames) == ("My report", ["Report", "Favorites"])
        assert book.properties.created == datetime(2026, 2, 1, 11, 12, 13)  # noqa: DTZ001 - as openpyxl gives it

    @settings(max_examples=8, deadline=None)
    @given(PRODUCTS)
    def test_every_value_survives(self, product: dict[str, Any]) -> None:
        header, row = values(xlsx_file.render(exported(favorite_of("p", product))), "Favorites")
        found = {_decoded(name or ""): cell for name, cell in zip(header, row, strict=True)}
        for name, value in product.items():
            cell = found[f"product.{name}"]
            if value is None or value == "":
                assert cell is None
            elif isinstance(value, str):
                assert _decoded(cell) == value
            elif isinstance(value, bool):
                assert cell is value
            elif isinstance(value, int | float):
                assert float(cell) == float(value)
            else:
                assert json_text.loads(_decoded(cell)) == json_text.loads(json_text.dumps(value))


class TestPdf:
    def test_what_it_shows(self) -> None:
        text = pdf_text(
            pdf_file.render(
                exported(
                    favorite("first", 0.98386991, name="Rex", price=249.99),
                    ExportedFavorite("gone"),
                    reference={"name": "Ref", "deep": {"a": [1]}},
                )
            )
        )
        for shown in ("My report", "Alice", "2026-01-31", "3f0e9a52-7a5c-4b63-8d0f-0d4d1f2a9c11", "Model version m"):
            assert shown in text
        assert 'deep: {"a":[1]}; name: Ref' in text
        assert re.search(r"1 first 0.98387 name: Rex; price: 249.99", text)
        assert "2 gone" in text
        assert CUT not in text

    def test_what_is_not_known_is_not_named(self) -> None:
        text = pdf_text(pdf_file.render(replace(exported(author=""), model_version=None, reference_product_id=None)))
        assert "Title My report Date 2026-01-31" in text
        assert not any(name in text for name in ("Author", "Model version", "Reference product", "Score cosine"))

    @pytest.mark.parametrize(
        "title",
        [
            "Ünïcödé Żółć Ğ ß Ελληνικά Кириллица Українська",
            "日本語 カタカナ ひらがな 简体中文 繁體中文 한국어 보고서",
            "Tiếng Việt ₫ € → ☃ ✓ {nb} **bold** __under__",
        ],
    )
    def test_titles_of_the_world(self, title: str) -> None:
        content = pdf_file.render(exported(title=title))
        assert title in pdf_text(content)
        assert fonts.REPLACEMENT not in pdf_text(content)
        metadata = PdfReader(io.BytesIO(content)).metadata
        assert metadata is not None
        assert (metadata.title, metadata.author) == (title, "Alice")
        assert str(metadata.creation_date) == "2026-02-01 11:12:13+00:00"

    def test_what_no_font_has_is_shown_as_missing(self) -> None:
        text = pdf_text(pdf_file.render(exported(title="a\U0001f436b", reference={"x": "c\x01d\u0915e\tf"})))
        assert f"a{fonts.REPLACEMENT}b" in text
        assert f"c{fonts.REPLACEMENT}d{fonts.REPLACEMENT}e f" in text

    def test_the_large_font_is_there_only_where_it_is_needed(self) -> None:
        assert b"DroidSans" not in pdf_file.render(exported(title="Plain"))
        assert b"DroidSans" in pdf_file.render(exported(title="\u5831"))

    def test_pages_have_numbers_and_repeat_the_header(self) -> None:
        pages = pdf_pages(pdf_file.render(exported(*(favorite(f"p{one}", x="word " * 40) for one in range(60)))))
        assert len(pages) > 3
        for number, page in enumerate(pages, 1):
            assert f"My report \N{EM DASH} {number}" in page
            assert "Metadata" in page

    def test_long_texts_are_cut_and_say_so(self) -> None:
        long = favorite_of("i" * 256, {f"m{one}": "x" * 5_000 for one in range(3)})
        text = pdf_text(pdf_file.render(exported(long, reference={"r": "word " * 5_000})))
        assert text.count(CUT) == 4  # the reference, the id, the metadata, and the note below them
        assert "are shortened here" in text

    @pytest.mark.parametrize("length", [12, 25])
    def test_a_row_of_the_widest_words_fits_a_page(self, length: int) -> None:
        """Words of such a length that as little as can be is on a line; fpdf2 splits no row."""
        words = ("\N{PER TEN THOUSAND SIGN}" * length + " ") * 1_000
        assert len(pdf_pages(pdf_file.render(exported(favorite_of("i" * 256, {"m": words}))))) > 0

    def test_no_character_is_wider_than_a_row_has_room_for(self) -> None:
        """What `_MAX_PRODUCT` is reckoned with."""
        for name in (fonts.REGULAR, fonts.EAST_ASIAN):
            with TTFont(fonts.font_path(name)) as font:
                widths, characters = font["hmtx"], font.getBestCmap().values()
                assert max(widths[glyph][0] for glyph in characters) <= 1.74 * font["head"].unitsPerEm

    def test_many_favorites_share_what_there_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pdf_file, "_ALL_PRODUCTS", 1_000)
        text = pdf_text(pdf_file.render(exported(*[favorite_of("p", {"m": "z" * 5_000})] * 20)))
        assert 700 < text.count("z") < 1_000

    @settings(max_examples=2, deadline=None)
    @given(TEXTS.filter(bool), TEXTS)
    def test_any_text_can_be_shown(self, product_id: str, text: str) -> None:
        content = pdf_file.render(exported(favorite_of(product_id, {text: text}), title=text or " "))
        assert PdfReader(io.BytesIO(content)).pages

    def test_a_font_that_is_not_there_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(FileNotFoundError, match=r"attach the export layer"):
            fonts.font_path("Comic.ttf")

    def test_in_lambda_the_fonts_lie_beside_the_packages(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "k9_fonts").mkdir()
        there = tmp_path / "k9_fonts" / fonts.REGULAR
        there.touch()
        monkeypatch.setattr("sys.path", [str(tmp_path)])
        assert fonts.font_path(fonts.REGULAR) == there


class TestFileNames:
    @pytest.mark.parametrize(
        ("title", "name", "plain"),
        [
            ("My report", "My report 2026-01-31.pdf", "My report 2026-01-31.pdf"),
            ("Zażółć", "Zażółć 2026-01-31.pdf", "Zazoc 2026-01-31.pdf"),
            ("報告書", "報告書 2026-01-31.pdf", "report 2026-01-31.pdf"),
            ('a/b\\c:d*e?f"g<h>i|j%k', "a_b_c_d_e_f_g_h_i_j_k 2026-01-31.pdf", None),
            ("../../etc/passwd", "_.._etc_passwd 2026-01-31.pdf", None),
            ("\uff0f\uff02", "\uff0f\uff02 2026-01-31.pdf", "report __ 2026-01-31.pdf"),
            ("x\u202efdp.exe", "xfdp.exe 2026-01-31.pdf", None),
            ("con", "_con 2026-01-31.pdf", None),
            ("...", "report 2026-01-31.pdf", None),
            ("\u2028\u00a0tab\u3000x", "tab x 2026-01-31.pdf", None),
            ("t" * 200, f"{'t' * 80} 2026-01-31.pdf", None),
            ("\ud83d", "report 2026-01-31.pdf", None),
        ],
    )
    def test_a_name_is_made_of_title_and_date(self, title: str, name: str, plain: str | None) -> None:
        made = file_name(exported(title=title).report, "pdf")
        assert made == name
        assert f'filename="{plain or name}"' in content_disposition(made)

    @given(TEXTS, TEXTS)
    def test_any_title_gives_a_header_and_a_name_that_every_system_takes(self, title: str, date: str) -> None:
        name = file_name(exported(title=title, date=date).report, "csv")
        assert not re.search(r'[\x00-\x1f\x7f"*/:<>?\\|%]', name)
        assert not name.startswith((".", " "))
        assert re.fullmatch(
            r"attachment; filename=\"[ !#-$&-.0-9;=@-\[\]-{}~]+\.csv\"; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+",
            content_disposition(name),
        )


def _unquoted(cell: str, text: str) -> str:
    """The cell without the apostrophe that the text itself does not have."""
    return cell.removeprefix("'") if not text.startswith("'") else cell


def _decoded(cell: object) -> str:
    """As Excel reads it (ECMA-376, part 1, section 22.9.2.19, ST_Xstring)."""
    return str(unescape(str(cell)))

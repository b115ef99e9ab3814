"""A report as a PDF for people: what it is, its reference product, and a table of its favourites.

It shows so much of every text that pages can be read, and made in seconds; the other formats have more.
"""

from collections.abc import Iterable, Mapping, Set
from typing import Any, cast

from fpdf import FPDF
from fpdf.enums import TableCellFillMode
from fpdf.fonts import FontFace, TTFFont

from ..models.report_export import ExportedFavorite, ExportedReport
from .facts import facts
from .fonts import BOLD, EAST_ASIAN, REGULAR, REPLACEMENT, font_path
from .moments import changed_at
from .texts import CUT, as_text, cut, valid

_MAX_REFERENCE, _MAX_PRODUCT, _MAX_ID = 4_000, 750, 64
"""Characters. A row of a table has to fit a page. The widest character is 1.74 em: a line takes 24 of them, two lines
that follow each other have more than that together, so 750 characters are 63 lines at most, of 65 that there are."""

_ALL_PRODUCTS = 40_000
"""Characters that the metadata of all favourites may take together; each has the same share, up to _MAX_PRODUCT."""

_SHORTENED = f"Texts that end in{CUT} are shortened here. The formats zip, csv and xlsx have more of them."
_TITLE_SIZE, _HEADING_SIZE, _BODY_SIZE, _TABLE_SIZE, _FOOTER_SIZE = 16, 12, 9, 8, 7
"""Points."""

_MARGIN, _NAME_WIDTH, _LINE, _TABLE_LINE, _GAP = 15, 40, 5, 4, 3
"""Millimetres."""

_COLUMN_WIDTHS = (7, 35, 18, 120)
_HEADER = ("#", "Product", "Score", "Metadata")
_SHADE = (235, 238, 242)
_FAMILY, _FALLBACK = "text", "east-asian"


def render(exported: ExportedReport) -> bytes:
    """Characters that no font has are shown as U+FFFD. Hebrew and Arabic are set from left to right, unjoined."""
    share = min(_MAX_PRODUCT, _ALL_PRODUCTS // max(1, len(exported.favorites)))
    told = [(name, str(value)) for name, value in facts(exported)]
    reference = _members(exported.reference_product or {}, _MAX_REFERENCE)
    rows = [_row(number, favorite, share) for number, favorite in enumerate(exported.favorites, 1)]
    texts = [*(value for _, value in told), reference, *(cell for row in rows for cell in row)]

    document = _Document(exported, set().union(*texts))
    document.add_facts(told)
    document.add_reference(reference)
    document.add_favorites(rows)
    if any(text.endswith(CUT) for text in texts):
        document.add_note(_SHORTENED)
    return bytes(document.output())


def _row(number: int, favorite: ExportedFavorite, length: int) -> list[str]:
    score = "" if favorite.score is None else f"{favorite.score:.6g}"
    product_id = cut(valid(favorite.product_id), _MAX_ID)
    return [str(number), product_id, score, _members(favorite.product or {}, length)]


def _members(product: Mapping[str, Any], length: int) -> str:
    """`name: value` of each member by name, in so many characters."""
    shown: list[str] = []
    total = 0
    for name, value in sorted(product.items()):
        shown.append(cut(f"{valid(name)}: {as_text(value)}", length + 1))
        total += len(shown[-1])
        if total > length:
            break
    return cut("; ".join(shown), length)


class _Document(FPDF):
    """Pages of A4; every text goes through `_shown`, since fpdf2 logs what characters its fonts lack."""

    def __init__(self, exported: ExportedReport, characters: Set[str]) -> None:
        super().__init__(format="A4")
        self.alias_nb_pages("")  # a title may hold the placeholder of the number of pages
        self.set_margins(_MARGIN, _MARGIN, _MARGIN)
        self.set_auto_page_break(True, _MARGIN)
        self._load_fonts(characters)
        title = self._shown(valid(exported.report.title))
        self.set_title(title)
        self.set_author(self._shown(valid(exported.report.author)))
        self.set_creator("K9 API")
        self.set_creation_date(changed_at(exported.report))
        self._running_title = title
        self.add_page()
        self.set_font(_FAMILY, "B", _TITLE_SIZE)
        self._paragraph(title, 2 * _GAP + 1)
        self.ln(_GAP)

    def footer(self) -> None:
        """fpdf2 calls it at the end of every page."""
        self.set_y(-_MARGIN + _GAP)
        self.set_font(_FAMILY, "", _FOOTER_SIZE)
        self.cell(0, _LINE, f"{cut(self._running_title, _MAX_ID)} \N{EM DASH} {self.page_no()}", align="C")

    def add_facts(self, told: Iterable[tuple[str, str]]) -> None:
        for name, value in told:
            if value:
                self.set_font(_FAMILY, "B", _BODY_SIZE)
                self.cell(_NAME_WIDTH, _LINE, name)
                self.set_font(_FAMILY, "", _BODY_SIZE)
                self._paragraph(self._shown(value), _LINE)

    def add_reference(self, reference: str) -> None:
        if reference:
            self._heading("Reference")
            self._paragraph(self._shown(reference), _LINE)

    def add_favorites(self, rows: Iterable[Iterable[str]]) -> None:
        self._heading("Favorites")
        self.set_font(_FAMILY, "", _TABLE_SIZE)
        shaded = FontFace(emphasis="BOLD", fill_color=_SHADE)
        with self.table(
            col_widths=_COLUMN_WIDTHS,
            line_height=_TABLE_LINE,
            headings_style=shaded,
            cell_fill_mode=TableCellFillMode.NONE,
            text_align=("RIGHT", "LEFT", "RIGHT", "LEFT"),
        ) as table:
            table.row(_HEADER)
            for row in rows:
                table.row([self._shown(cell) for cell in row])

    def add_note(self, text: str) -> None:
        self.ln(_GAP)
        self.set_font(_FAMILY, "", _TABLE_SIZE)
        self._paragraph(text, _TABLE_LINE)

    def _heading(self, text: str) -> None:
        self.ln(_GAP)
        self.set_font(_FAMILY, "B", _HEADING_SIZE)
        self._paragraph(text, 2 * _GAP)
        self.set_font(_FAMILY, "", _BODY_SIZE)

    def _paragraph(self, text: str, height: float) -> None:
        self.multi_cell(0, height, text, align="L", new_x="LMARGIN", new_y="NEXT")

    def _load_fonts(self, characters: Set[str]) -> None:
        """The large font only where a character needs it: it takes a fifth of a second to read."""
        self.add_font(_FAMILY, "", font_path(REGULAR))
        self.add_font(_FAMILY, "B", font_path(BOLD))
        fallbacks = [_FAMILY]
        missing = self._missing_in(_FAMILY, characters)
        if missing:
            self.add_font(_FALLBACK, "", font_path(EAST_ASIAN))
            fallbacks.append(_FALLBACK)
            missing = self._missing_in(_FALLBACK, missing)
        self.set_fallback_fonts(fallbacks, exact_match=False)
        self._replacements = {ord(character): REPLACEMENT for character in missing}
        self._replacements |= {ord(character): " " for character in characters if character.isspace()}

    def _missing_in(self, family: str, characters: Set[str]) -> set[str]:
        known = cast(TTFFont, self.fonts[family]).cmap
        return {character for character in characters if ord(character) not in known and not character.isspace()}

    def _shown(self, text: str) -> str:
        return text.translate(self._replacements)

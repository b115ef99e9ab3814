"""A report as an Excel workbook: a sheet of the report with its reference, and a sheet of its favourites."""

import io
from collections.abc import Iterable
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from ..models.json_value import significand
from ..models.report_export import ExportedReport
from .columns import FavoriteTable
from .facts import facts
from .moments import changed_at
from .texts import CUT, as_text, is_number, looks_like_a_formula

_MAX_CELL = 32_767
"""Characters of a cell, in units of UTF-16 ("Excel specifications and limits", support.microsoft.com)."""

_MAX_DIGITS = 15
"""Digits that Excel keeps of a number (same page): a longer one is written as a text."""

_OPTIONS = {
    "constant_memory": True,  # a row is on disk before the next begins
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_NAME_WIDTH, _VALUE_WIDTH, _ID_WIDTH, _SCORE_WIDTH, _MEMBER_WIDTH = 24, 60, 28, 12, 20


def render(exported: ExportedReport) -> bytes:
    """Texts are texts, whatever they begin with; a number that Excel would round is one, too."""
    file = io.BytesIO()
    with Workbook(file, _OPTIONS) as workbook:
        created = changed_at(exported.report).replace(tzinfo=None)
        workbook.set_properties({"title": as_text(exported.report.title), "created": created})
        sheets = _Sheets(workbook)
        sheets.add_report(exported)
        sheets.add_favorites(FavoriteTable(exported))
    return file.getvalue()


class _Sheets:
    def __init__(self, workbook: Workbook) -> None:
        self._workbook = workbook
        self._heading = workbook.add_format({"bold": True})
        self._plain = workbook.add_format({"quote_prefix": True})
        """Of a text that looks like a formula: it does not become one either where somebody edits the cell."""

    def add_report(self, exported: ExportedReport) -> None:
        sheet: Worksheet = self._workbook.add_worksheet("Report")
        sheet.set_column(0, 0, _NAME_WIDTH)
        sheet.set_column(1, 1, _VALUE_WIDTH)
        members = sorted((exported.reference_product or {}).items())
        lines: list[tuple[str, Any]] = [*facts(exported), *((f"reference.{name}", value) for name, value in members)]
        for number, (name, value) in enumerate(lines):
            self._write_row(sheet, number, [name], self._heading)
            self._write(sheet, number, 1, value)

    def add_favorites(self, table: FavoriteTable) -> None:
        sheet: Worksheet = self._workbook.add_worksheet("Favorites")
        header = table.header
        sheet.set_column(0, 0, _ID_WIDTH)
        sheet.set_column(1, 1, _SCORE_WIDTH)
        sheet.set_column(2, len(header), _MEMBER_WIDTH)
        sheet.freeze_panes(1, 1)
        self._write_row(sheet, 0, header, self._heading)
        for number, (product_id, score, *members) in enumerate(table.rows(), 1):
            self._write(sheet, number, 0, product_id)
            if score is not None:
                # Computed in float64, and never of more than 16 digits that mean something: a text could not be sorted.
                sheet.write_number(number, 1, score)
            for column, value in enumerate(members, 2):
                self._write(sheet, number, column, value)

    def _write_row(self, sheet: Worksheet, row: int, texts: Iterable[str], style: Format) -> None:
        for column, text in enumerate(texts):
            sheet.write_string(row, column, _fitting(as_text(text)), style)

    def _write(self, sheet: Worksheet, row: int, column: int, value: Any) -> None:
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif is_number(value) and significand(value)[0] <= _MAX_DIGITS:
            sheet.write_number(row, column, float(value))
        elif text := as_text(value):
            style = self._plain if looks_like_a_formula(text) else None
            sheet.write_string(row, column, _fitting(text), style)


def _fitting(text: str) -> str:
    """As much of the text as a cell takes; what is cut off leaves a mark."""
    if len(text) <= _MAX_CELL // 2:  # no character takes more than two units
        return text
    units = text.encode("utf-16-le")
    if len(units) // 2 <= _MAX_CELL:
        return text
    return units[: 2 * (_MAX_CELL - len(CUT))].decode("utf-16-le", "ignore") + CUT

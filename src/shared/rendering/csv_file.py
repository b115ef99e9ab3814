"""A report's favourites as CSV (RFC 4180), which every spreadsheet opens and none calculates."""

import csv
import io
from typing import Any

from ..models.report_export import ExportedReport
from .columns import FavoriteTable
from .texts import as_text, looks_like_a_formula

_BYTE_ORDER_MARK = "\ufeff"
"""By which Excel knows UTF-8."""


def render(exported: ExportedReport) -> bytes:
    """A line for each favourite. A text that could be a formula has an apostrophe before it; numbers stay numbers."""
    table = FavoriteTable(exported)
    text = io.StringIO(newline="")
    text.write(_BYTE_ORDER_MARK)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(map(_cell, table.header))
    writer.writerows(map(_cell, row) for row in table.rows())
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    text = as_text(value)
    return f"'{text}" if isinstance(value, str) and looks_like_a_formula(text) else text

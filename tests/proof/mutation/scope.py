"""Which modules' checks are taken out one by one, and what they are there for.

The table names what is left out, with the reason: a new module is looked at from its first day. What is left out here
still has its conditions, its conditional puts and its owners taken out, wherever they are.
"""

from fnmatch import fnmatch
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"

TOKEN, INPUT, STATE = "token check", "input check", "state check"
CONDITION, OBJECT, OWNER = "condition", "object condition", "owner check"
KINDS = (CONDITION, OBJECT, OWNER, TOKEN, INPUT, STATE)
JUDGED = (CONDITION, OBJECT, OWNER, TOKEN)
"""Every mutant of these has to be noticed. Checks of input and of state are counted, but not hunted yet."""

_LEFT_OUT = {
    "handlers/documentation/*": "public pages, alike for everybody",
    "handlers/health.py": "public, without an owner",
    "handlers/reports/exporting.py": "draws what has been read",
    "shared/config.py": "the environment of a function, which whoever deploys it writes",
    "shared/exports.py": "imports",
    "shared/process.py": "what a copied process forgets",
    "shared/telemetry.py": "logs",
    "shared/tasks.py": "threads of the laptop's worker",
    "shared/rendering/*": "draws what has been read",
    "shared/account/zip_archive.py": "a file format",
    "shared/avatars/images.py": "decodes pictures",
    "shared/models/filters.py": "the filters' language",
    "shared/models/json_*.py": "the syntax of JSON",
    "shared/models/report_export.py": "what is drawn",
    "shared/models/vector.py": "numbers",
    "shared/database/attempts.py": "counts tries",
    "shared/database/attributes.py": "DynamoDB's notation of values",
    "shared/database/calls.py": "counts calls",
    "shared/database/client.py": "the SDK's set-up",
    "shared/database/failures.py": "names AWS's errors",
    "shared/database/health.py": "public, without an owner",
    "shared/database/manager.py": "sends calls",
    "shared/database/pages.py": "the sizes of pages",
    "shared/database/parallel.py": "threads",
    "shared/database/sdk_data.py": "the SDK's set-up",
    "shared/similarity/*": "computes; its keys and its conditional puts are looked at all the same",
}
_LOOKED_AT = frozenset(
    {f"shared/similarity/{name}.py" for name in ("objects", "lease", "versions", "uploads", "search")}
)

_KINDS = {
    "shared/auth.py": TOKEN,
    "shared/jwks.py": TOKEN,
    "shared/database/cursors.py": INPUT,
    "shared/events.py": INPUT,
    "shared/binding.py": INPUT,
    "shared/http.py": INPUT,
    "shared/models/*": INPUT,
    "shared/avatars/names.py": INPUT,
}


def modules() -> list[str]:
    """Every module of src, as a path below it."""
    return sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


def import_name(module: str) -> str:
    """What a module is imported by."""
    return module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def is_looked_at(module: str) -> bool:
    """Whether each refusal and each operand of this module is a check."""
    return module in _LOOKED_AT or not any(fnmatch(module, pattern) for pattern in _LEFT_OUT)


def kind_of(module: str) -> str:
    """What the module's checks are there for."""
    return next((kind for pattern, kind in _KINDS.items() if fnmatch(module, pattern)), STATE)

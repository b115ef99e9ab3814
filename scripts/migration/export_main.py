"""export.py once its environment is there: one user's data, or a whole environment's, as NDJSON."""

import sys
from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from scripts.deployment import arguments
from scripts.deployment.arguments import ENVIRONMENTS, Parser
from scripts.deployment.failure import explain
from scripts.migration.exporting import all_rows, export_rows, rows_of
from scripts.migration.failure import MigrationError
from scripts.migration.progress import say
from scripts.migration.rules import Table
from scripts.migration.target import Target, TargetOptions, open_target
from shared.errors import ApiError

DONE, FAILED = 0, 1
_DESCRIPTION = (
    "Writes users.ndjson, reports.ndjson and embeddings.ndjson into a folder: one user's rows, or those of a whole "
    "environment. `migrate.py apply ndjson:FOLDER --mapping k9-export` reads them back."
)


def main(given: Sequence[str] | None = None) -> int:
    found = _parser().parse_args(given)
    options = TargetOptions(found.local, found.environment, found.profile, found.region, bucket="-")
    try:
        _export(options, found.user, Path(found.folder))
    except MigrationError as error:
        say(f"export.py: {error}")
    except ApiError as error:
        say(f"export.py: {error.detail}")
    except (ClientError, BotoCoreError) as error:
        say(f"export.py: {explain(error)}")
    else:
        return DONE
    return FAILED


def _export(options: TargetOptions, user_id: str | None, folder: Path) -> None:
    target = open_target(options)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sum(_export_table(target, user_id, table, folder / f"{table}.ndjson") for table in target.tables)
    except OSError as error:
        raise MigrationError(f"{folder} cannot be written ({error}): name another folder.") from error
    if user_id is not None and not found:
        raise MigrationError(
            f"Nothing of a user {user_id} is in these tables: is this their `sub`, and the place right?"
        )


def _export_table(target: Target, user_id: str | None, table: Table, path: Path) -> int:
    if user_id is not None and table == "embeddings":
        say(f"{target.tables[table]} is read whole, so that no model version is overlooked.")
    rows = all_rows(target, table) if user_id is None else rows_of(target, table, user_id)
    done = export_rows(table, rows, path)
    say(f"{path}: {done.rows:,} rows")
    for name, count in sorted(done.unknown.items()):
        say(f"{path}: the attribute {name} of {count:,} rows is left out, as K9 does not know it")
    return done.rows


def _parser() -> Parser:
    parser = Parser("scripts/export.py", _DESCRIPTION)
    parser.add_argument("folder", metavar="FOLDER", help="where to write; it is made if need be")
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--user", metavar="SUB", help="the `sub` of one user")
    whose.add_argument("--all", action="store_true", help="everybody's rows, the shared catalogue included")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--local", action="store_true", help="the laptop stack, while dev.sh runs")
    where.add_argument("--environment", choices=ENVIRONMENTS, help="an environment on AWS; else the shell's variables")
    parser.add_argument("--region", type=arguments.region, help="with --environment: its AWS region")
    parser.add_argument("--profile", help="with --environment: the AWS profile with the credentials")
    return parser


if __name__ == "__main__":
    sys.exit(main())

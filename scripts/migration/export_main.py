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
from scripts.migration.target import TargetOptions, open_target
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
        for table in target.tables:
            rows = all_rows(target, table) if user_id is None else rows_of(target, table, user_id)
            path = folder / f"{table}.ndjson"
            count = export_rows(table, rows, path)
            say(f"{path}: {count:,} rows")
    except OSError as error:
        raise MigrationError(f"{folder} cannot be written ({error}): name another folder.") from error


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

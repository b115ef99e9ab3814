"""The command line of migrate.py."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from scripts.deployment import arguments
from scripts.deployment.arguments import ENVIRONMENTS, Parser
from scripts.migration.failure import MigrationError
from scripts.migration.run import THREADS, Pace
from scripts.migration.target import TargetOptions
from scripts.migration.work import WorkFolder

Verb = Literal["plan", "apply", "resume", "verify", "report"]
VERBS: tuple[Verb, ...] = get_args(Verb)
WORK = ".migration"
DEFAULT_MAPPINGS = {"ndjson": "k9-json", "dynamodb-export": "k9-dynamodb"}
"""Those that are not called by the kind of their source."""

FILES = frozenset({"duckdb", "json", "ndjson", "csv", "parquet", "dynamodb-export"})
"""The kinds of source whose place is a path."""

_DESCRIPTION = (
    "Moves users, reports and embeddings into K9's tables. plan, the default, reads everything and writes nothing; "
    "apply writes; resume goes on after an interruption; verify compares both sides; report shows what the last of "
    "these found. docs/MIGRATION.md describes sources and mappings."
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says, and for `resume`, `verify` and `report` what the folder of the migration says."""

    verb: Verb
    source: str
    mapping: str
    target: TargetOptions
    work: WorkFolder
    pace: Pace
    offline: bool = False
    accept_rejects: bool = False
    start_over: bool = False

    @property
    def command(self) -> dict[str, Any]:
        """What the folder keeps; addresses and mappings hold no secrets."""
        return {"source": self.source, "mapping": self.mapping, "target": asdict(self.target)}


def parse(given: Sequence[str] | None) -> Options:
    """Ends the process, with status 2, where the options are wrong. Raises MigrationError as WorkFolder does."""
    parser = _parser()
    found = parser.parse_args(given)
    if found.verb not in VERBS:  # `migrate.py SOURCE` plans
        found.verb, found.source = "plan", found.verb
    if found.verb in ("plan", "apply") and not found.source:
        parser.error("needs a SOURCE, such as json:reports.json")
    source = _absolute_source(found.source or "")
    options = Options(
        verb=found.verb,
        source=source,
        mapping=_absolute_mapping(found.mapping) if found.mapping else "",
        target=TargetOptions(found.local, found.environment, found.profile, found.region, found.bucket),
        work=WorkFolder(Path(found.work)),
        pace=Pace(found.threads, found.max_wcu, not found.no_batches),
        offline=found.offline,
        accept_rejects=found.accept_rejects,
        start_over=found.start_over,
    )
    return _with_default_mapping(options) if options.verb in ("plan", "apply") else _completed(options)


def _with_default_mapping(options: Options) -> Options:
    kind = options.source.partition(":")[0]
    return replace(options, mapping=options.mapping or DEFAULT_MAPPINGS.get(kind, f"k9-{kind}"))


def _absolute_source(source: str) -> str:
    """The folder keeps it, and may be named from elsewhere the next time."""
    kind, _, place = source.partition(":")
    return f"{kind}:{Path(place).absolute()}" if kind in FILES and place else source


def _absolute_mapping(name: str) -> str:
    """A name without an ending is that of a shipped mapping, unless there is such a file."""
    path = Path(name)
    return str(path.absolute()) if path.suffix or path.exists() else name


def _completed(options: Options) -> Options:
    """As the migration in the folder was begun. Raises MigrationError where what is given contradicts that."""
    if options.verb == "report":
        return options  # it shows what the folder has
    if options.verb == "verify" and options.source and not options.work.command.exists():
        return _with_default_mapping(options)
    kept = options.work.read(options.work.command)
    given = {"source": options.source, "mapping": options.mapping, **asdict(options.target)}
    for name, value in given.items():
        begun_with = {**kept, **kept["target"]}[name]
        if value and value != begun_with:
            raise MigrationError(
                f"{options.work.root} holds a migration with the {name} {begun_with or '(none)'}, not "
                f"{value if name in ('source', 'mapping') else f'--{name} {value}'}: leave it out, or name another "
                "folder with --work."
            )
    return replace(options, source=kept["source"], mapping=kept["mapping"], target=TargetOptions(**kept["target"]))


def _parser() -> Parser:
    parser = Parser("scripts/migrate.py", _DESCRIPTION)
    parser.add_argument("verb", metavar="VERB", help=f"{', '.join(VERBS)}; plan where none is given")
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="KIND:PLACE, such as duckdb:k9_api.db")
    parser.add_argument(
        "--mapping",
        metavar="FILE",
        help="a mapping, or the name of a shipped one; that of the kind of source by default",
    )
    target = parser.add_argument_group("where to")
    where = target.add_mutually_exclusive_group()
    where.add_argument("--local", action="store_true", help="the laptop stack, while dev.sh runs")
    where.add_argument("--environment", choices=ENVIRONMENTS, help="an environment on AWS; else the shell's variables")
    target.add_argument("--region", type=arguments.region, help="with --environment: its AWS region")
    target.add_argument("--profile", help="with --environment: the AWS profile with the credentials")
    target.add_argument("--bucket", help="with --environment: the bucket of similarity data, if the stack is not asked")
    target.add_argument("--offline", action="store_true", help="plan without a look at the target")
    run = parser.add_argument_group("this run")
    run.add_argument("--work", default=WORK, metavar="FOLDER", help=f"journal, rejects and report ({WORK})")
    run.add_argument("--accept-rejects", action="store_true", help="apply although some rows are rejects")
    run.add_argument("--start-over", action="store_true", help="apply although an interrupted run could be resumed")
    run.add_argument("--max-wcu", type=_positive, metavar="UNITS", help="write units a second at most")
    run.add_argument("--threads", type=_threads, default=THREADS, help=f"calls at once at most ({THREADS})")
    run.add_argument("--no-batches", action="store_true", help="conditional puts even into empty tables")
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def _threads(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError("must be 1 to 256")
    return int(text)

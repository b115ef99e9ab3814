"""The command line behind scripts/dev.sh."""

import argparse
import os
import sys
from collections.abc import Sequence

from scripts.building.artifacts import BuildError
from scripts.building.swagger_ui import ensure_swagger_ui
from scripts.local import console, serving, stack
from scripts.local.cloud import CloudOptions, find_deployment
from scripts.local.containers.front import Containers
from scripts.local.failure import LocalStackError
from scripts.local.folder import LocalFolder
from scripts.local.gateway import ensure_port_is_free
from scripts.local.signals import Interrupted, StopRequest
from scripts.local.template import Template
from scripts.local.variables import WEB_ORIGINS, cloud_variables

DEFAULT_PORT = 3001


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        _run(options)
    except Interrupted:
        return 0
    except LocalStackError as error:
        console.say(f"\ndev.sh: {error}")
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    folder = LocalFolder.of(os.environ)
    if options.token:
        print(stack.fresh_token(folder, options.token))
        return
    stop = StopRequest()
    stop.listen()
    serving.log_to_terminal()
    if not options.sam:
        _bring_swagger_ui()
    if options.aws:
        _serve_cloud(folder, options, stop)
    else:
        front = _containers(stop) if options.sam else serving.in_process
        stack.LocalStack(folder, options.port, stop, Template.load(), front).run(reset=options.reset)


def _bring_swagger_ui() -> None:
    """Puts the documentation page's layer where Lambda has it: on Python's path."""
    try:
        sys.path.append(str(ensure_swagger_ui()))
    except BuildError as exc:
        raise LocalStackError(str(exc)) from exc


def _containers(stop: StopRequest) -> Containers:
    """Ctrl-C ends the build as well, which is no fault of the build."""
    try:
        return Containers.prepare()
    except LocalStackError:
        stop.check()
        raise


def _serve_cloud(folder: LocalFolder, options: argparse.Namespace, stop: StopRequest) -> None:
    template = Template.load()
    folder.create()
    ensure_port_is_free(options.port)
    deployment = find_deployment(_cloud_options(options), WEB_ORIGINS)
    os.environ.update(cloud_variables(template, deployment, options.profile))
    log = folder.root / f"api-{options.environment}.log"
    with serving.gateway(template, deployment, options.port, log) as served:
        url = f"http://localhost:{served.port}"
        console.say(console.welcome_to_cloud(url, options.environment, deployment.client_ids[0], log))
        serving.until_stopped(stop)


def _cloud_options(options: argparse.Namespace) -> CloudOptions:
    return CloudOptions(
        environment=options.environment,
        profile=options.profile,
        region=options.region,
        user_pool_id=options.user_pool_id,
        client_ids=tuple(options.user_pool_client_id or ()),
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/dev.sh",
        allow_abbrev=False,
        description="Runs K9 API on this machine, with an embedded store unless --aws is given.",
    )
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="where to serve (%(default)s; 0: a free one)")
    parser.add_argument("--reset", action="store_true", help="throw the local data away and start afresh")
    parser.add_argument("--token", metavar="NAME", help="print a fresh token of the running stack")
    parser.add_argument(
        "--sam", action="store_true", help="the built functions in containers, by `sam local`, on the embedded store"
    )
    cloud = parser.add_argument_group("against AWS")
    cloud.add_argument("--aws", action="store_true", help="the same handlers on an environment's real tables")
    cloud.add_argument("--environment", choices=_environments(), help="whose tables")
    cloud.add_argument("--profile", help="the AWS profile with the credentials")
    cloud.add_argument("--region", help="the AWS region, unless the profile or AWS_DEFAULT_REGION has it")
    cloud.add_argument("--user-pool-id", help="instead of the one of the stack k9-api-ENVIRONMENT")
    cloud.add_argument("--user-pool-client-id", action="append", help="likewise; may be repeated")
    options = parser.parse_args(arguments)
    _check(parser, options)
    return options


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.aws and not options.environment:
        parser.error("--aws needs --environment, which says whose tables are meant")
    if options.aws and (options.reset or options.token or options.sam):
        parser.error("--reset, --token and --sam are about the embedded store; they do not go with --aws")
    cloud = (options.environment, options.profile, options.region, options.user_pool_id, options.user_pool_client_id)
    if not options.aws and any(cloud):
        parser.error("--environment, --profile, --region and --user-pool-... go with --aws")


def _environments() -> list[str]:
    return list(Template.load().document["Parameters"]["Environment"]["AllowedValues"])


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number (0 to 65535)")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

"""How a command ends: what may go wrong becomes a line at the terminal and an exit status."""

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from scripts.deployment import terminal
from scripts.deployment.failure import DeploymentError, explain
from scripts.local.failure import LocalStackError


def reported(program: str, work: Callable[[], None]) -> int:
    """Does the work; 0, 1 where it was refused or failed, 130 where it was interrupted."""
    try:
        work()
    except (BotoCoreError, ClientError) as error:
        terminal.say(f"\n{program}: {explain(error)}")
        return 1
    except (DeploymentError, LocalStackError) as error:
        terminal.say(f"\n{program}: {error}")
        return 1
    except KeyboardInterrupt:
        terminal.say(f"\n{program}: Interrupted. What AWS was asked to do by then goes on there; start again to see.")
        return 130
    return 0

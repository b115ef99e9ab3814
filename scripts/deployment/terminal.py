"""Talking to the person at the terminal, if there is one."""

import sys

from scripts.deployment.failure import DeploymentError


def say(text: str) -> None:
    """To stderr: stdout is for what a program may want to read, such as the API's address."""
    print(text, file=sys.stderr, flush=True)


def is_there() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agree(what: str, *, yes: bool) -> None:
    """Goes on only with a yes: `yes` is that of --yes. Raises DeploymentError otherwise."""
    say(what)
    if yes:
        return
    if not is_there():
        raise DeploymentError("Nobody is at the terminal to agree to that: pass --yes if it is what you want.")
    if ask("Go on? [y/N] ").lower() not in ("y", "yes"):
        raise DeploymentError("Stopped; nothing was changed.")


def ask(question: str) -> str:
    """One line, or "" at its end. The question goes to stderr, as all else."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()

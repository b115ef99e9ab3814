"""The one error of the laptop stack."""


class LocalStackError(Exception):
    """The stack cannot go on. The message is for the person at the terminal: what is wrong, where, what to do."""

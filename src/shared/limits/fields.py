"""The header fields that tell a client of its limits (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

POLICY, LIMIT = "RateLimit-Policy", "RateLimit"


@dataclass(frozen=True, slots=True)
class Policy:
    """One limit, and what is left of it; None where that is not known."""

    name: str
    quota: int
    window: int | None = None
    """Seconds that the quota is for; None where it is for good."""

    unit: str | None = None
    """None for requests."""

    remaining: int | None = None
    reset: int | None = None
    """Seconds until the window ends."""

    @property
    def stated(self) -> str:
        parameters = [f"q={self.quota}"]
        parameters += [] if self.window is None else [f"w={self.window}"]
        parameters += [] if self.unit is None else [f'qu="{self.unit}"']
        return _item(self.name, parameters)

    @property
    def standing(self) -> str:
        parameters = [f"r={max(0, self.remaining or 0)}"]
        return _item(self.name, parameters + ([] if self.reset is None else [f"t={self.reset}"]))


def fields(policies: Iterable[Policy]) -> dict[str, str]:
    """Both fields, as lists of structured fields (RFC 9651); nothing where there is no policy."""
    listed = list(policies)
    if not listed:
        return {}
    known = [policy.standing for policy in listed if policy.remaining is not None]
    standing = {LIMIT: ", ".join(known)} if known else {}
    return {POLICY: ", ".join(policy.stated for policy in listed), **standing}


def _item(name: str, parameters: Sequence[str]) -> str:
    return ";".join([f'"{name}"', *parameters])

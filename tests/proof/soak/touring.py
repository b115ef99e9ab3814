"""Every route, again and again, beside the load: the end-to-end tests' own tour, by a user who does nothing else."""

import time
from dataclasses import dataclass, field

from scripts.deployment.stage import Stage
from tests.support.tour import Tour

_PAUSE_SECONDS = 30.0
_SHARE_OF_THE_TIME = 0.95
"""After this share no further tour begins, so that none is in the way of the end."""


@dataclass(slots=True)
class Touring:
    stage: Stage
    taken: int = 0
    violations: list[str] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Tours until so much time has gone by; the first one begins in any case."""
        began = time.monotonic()
        while not self.violations:
            try:
                with Tour(self.stage) as tour:
                    tour.take()
                    tour.leave()
                self.taken += 1
            except Exception as error:  # noqa: BLE001 - a client may raise anything; each is a violation, and the end
                self.violations.append(f"tour {self.taken + 1}: {type(error).__name__}: {error}")
            if time.monotonic() - began + _PAUSE_SECONDS > seconds * _SHARE_OF_THE_TIME:
                return
            time.sleep(_PAUSE_SECONDS)

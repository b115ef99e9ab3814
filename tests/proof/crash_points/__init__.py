"""`crash-points`: whatever is stopped at an AWS call, and repeated, comes to the same end."""

from .proving import prove as prove

"""Unit tests run in this process alone."""

from tests.support.sdk import shared_loader as shared_loader
from tests.support.sockets import no_sockets as no_sockets
from tests.support.unmeasured import others_unmeasured as others_unmeasured

"""Suite `mutation`: every condition, owner check and token check is taken out in turn, and a test must notice.

What can be taken out is found in the code's syntax (`operators`, in the modules of `scope`); nothing is listed by hand
but the few mutants that change nothing anybody could notice, each with its reason (`equivalents.json`).
"""

from .proving import prove as prove

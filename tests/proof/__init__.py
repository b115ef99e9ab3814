"""What the product proves of itself: suites that run by seed, count what they did, and list what they found.

`./scripts/prove.sh` runs them (`docs/PROOF.md` has what they hold, and figures). A suite is a module or package here
with a function `prove(options: Options) -> Outcome`; `suites.py` names them all.
"""

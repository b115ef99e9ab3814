"""The supply chain: what is installed from elsewhere is locked, listed, licensed, and looked up.

`sbom.sh` writes `docs/sbom/` and `docs/LICENSES.md` from the lock files; `audit.sh` asks for advisories. The proof
suite `supply-chain` holds both to broken copies of the project.
"""

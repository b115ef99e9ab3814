"""The documentation page: what a browser gets of it, and how a person signs in there."""

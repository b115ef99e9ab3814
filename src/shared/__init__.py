"""What every K9 API handler shares: the request path, tokens, models and repositories."""

__version__ = "0.1.0"

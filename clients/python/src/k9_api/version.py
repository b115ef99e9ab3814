"""The version of this package, which it also sends as its User-Agent."""

VERSION = "0.1.0"

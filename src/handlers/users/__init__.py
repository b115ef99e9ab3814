"""Handlers of the caller's own profile."""

"""Handlers of what describes the API."""

"""Handlers of reports and their favourites."""

"""Handlers of what describes the API: the document, and the page that shows it."""

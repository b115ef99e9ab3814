"""Avatars: the form for an upload, the check of what arrives, and the removal of what is no longer shown."""

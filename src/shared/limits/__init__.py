"""Limits of one tenant: requests by class of route, stored rows and bytes. No HTTP but the fields of its header."""

"""Builders that tests of every kind share."""

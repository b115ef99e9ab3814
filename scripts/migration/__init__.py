"""Brings an existing database over into K9's tables, and proves that all of it arrived."""

"""Handlers of embeddings: storing them, and finding what is alike."""

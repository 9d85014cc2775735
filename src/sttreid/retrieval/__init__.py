"""Embeddings -> distances -> metrics."""

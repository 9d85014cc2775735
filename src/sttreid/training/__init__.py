"""Batches -> losses -> weights."""

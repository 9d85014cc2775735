"""Clips -> tokens -> embeddings: the network of the paper."""

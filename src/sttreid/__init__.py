"""Video-based person re-identification with the Spatiotemporal Transformer (arXiv 2103.16469)."""

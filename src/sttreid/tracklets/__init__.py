"""Tracklet stores -> clips -> batches."""

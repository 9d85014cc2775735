"""Tracks files of trackers and annotators -> checked boxes, and an account of every line."""

"""Videos -> tracklets -> clips -> batches."""

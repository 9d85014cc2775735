"""Videos and published sets -> tracklet stores."""

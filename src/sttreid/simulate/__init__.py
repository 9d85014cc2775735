"""Domain -> camera videos and tracks: dressed pedestrians walk through the scenes of whole cameras."""

"""Nothing -> camera videos and tracks: dressed people walk through scenes before whole-camera lenses."""

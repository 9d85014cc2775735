"""Domain -> camera videos and tracks of dressed pedestrians who walk through rendered scenes."""

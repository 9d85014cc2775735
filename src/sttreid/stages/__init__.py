"""One module per stage of dvc.yaml: read, build, call, write."""

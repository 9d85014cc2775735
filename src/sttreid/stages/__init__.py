"""One module per stage of dvc.yaml: read, build, call, write."""

from sttreid.runtime import numerics

numerics.choose()  # before a stage loads torch

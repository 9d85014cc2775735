"""Run the cells (instances of stages) of a DVC pipeline side by side, on one machine or on a cluster."""

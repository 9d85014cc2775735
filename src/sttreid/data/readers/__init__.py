"""Readers of published data sets: one module a data set, from its folder to one table of tracklets."""

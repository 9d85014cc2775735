"""Metrics -> tables, plots and pages."""

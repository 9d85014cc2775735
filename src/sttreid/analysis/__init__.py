"""Per-query results -> intervals, effects and verdicts."""

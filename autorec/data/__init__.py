"""Data: from a table on disk or in memory to batches of encoded rows."""

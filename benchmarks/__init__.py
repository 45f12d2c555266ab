"""Benchmarks: each module runs as `python -m benchmarks.NAME [--quick]` and prints its figures as its last line."""

"""Searchers decide what to try next; the runner tries it.

A searcher is a `keras_tuner.Oracle`. `get_oracle` gives KerasTuner's and ours by name.
"""

"""Scores of a generator: named protocols, declared feature extractors, and results that carry the names of both.

Nothing is imported here, so that the command's `--help` needs no torch. Start reading at the table in `metrics.py`
and at `measure.evaluate`.
"""

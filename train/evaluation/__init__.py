"""Evaluation room: named protocols, declared extractors and scores that carry both.

Nothing is imported here, so that the command's `--help` needs no torch: `train.evaluation.measure.evaluate`.
"""

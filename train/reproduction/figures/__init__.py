"""The papers' figures, drawn of runs: each function fills one figure and returns the numbers in it."""

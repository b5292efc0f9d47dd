"""Training, data preparation, evaluation and publishing; used from a clone of the repository."""

"""How a run does: what is measured, what that is a symptom of, and what the run's folder remembers of it."""

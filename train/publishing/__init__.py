"""Sending checkpoints to the Hub while a run goes on, and after it."""

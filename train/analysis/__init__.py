"""What a run's log and kept checkpoints say about its training: numbers, and figures of them."""

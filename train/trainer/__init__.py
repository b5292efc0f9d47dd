"""The training loop: state, updates, noise, samples, evaluation between steps."""

"""Models on the Hugging Face Hub and in folders: reading, checking, writing, sending."""

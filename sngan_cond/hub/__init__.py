"""Models on the Hugging Face Hub and in folders: loading, checking, saving and pushing."""

"""Every figure of the papers: which runs it needs, what is drawn of them, and how that is measured."""

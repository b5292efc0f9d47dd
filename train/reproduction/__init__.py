"""Running rows of the papers' tables and comparing what is measured with what the papers report."""

"""`python -m train.prepare --report`: what a prepared data set holds, as one HTML file.

`contents.py` counts and measures, `duplicates.py` compares, `page.py` shows.
"""

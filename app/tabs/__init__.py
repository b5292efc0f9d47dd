"""The tabs of the page, one file each, and the components that they are made of."""

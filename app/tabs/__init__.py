"""The tabs of the page, one file each: fields on the left, a `Panel` on the right."""

"""What the API reference shows of docstrings and annotations; for mkdocstrings, no part of the site."""

import re
from typing import Any

from griffe import Attribute, Docstring, ExprSubscript, ExprTuple, Extension, Object

_SECTION = re.compile(r"(?<!\n)\n(?=(?:Args|Returns|Yields|Raises):\n)")


class HouseStyle(Extension):
    """Reads sections that follow each other without an empty line, and shows types without their checks."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Put the empty lines in that the parser looks for, and NamedTuples' fields where it finds their types."""
        if isinstance(obj.docstring, Docstring):
            text = _SECTION.sub("\n\n", obj.docstring.value)
            if obj.is_class and any(str(base) == "NamedTuple" for base in getattr(obj, "bases", ())):
                text = text.replace("\nArgs:\n", "\nAttributes:\n")
            obj.docstring.value = text

    def on_attribute_instance(self, *, attr: Attribute, **_: Any) -> None:
        """Leave the check out of `Annotated[type, check]`, which messages and text say in words."""
        annotation = attr.annotation
        if isinstance(annotation, ExprSubscript) and str(annotation.left) == "Annotated":
            attr.annotation = annotation.slice.elements[0] if isinstance(annotation.slice, ExprTuple) else annotation

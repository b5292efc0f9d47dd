"""A link's query, and back to the request that it asks for."""

from app.asks import AnyAsk, MixtureAsk, MorphAsk, Query, SampleAsk, WalkAsk


def ask_from_query(query: Query) -> AnyAsk | None:
    """Read a link's query.

    Args:
        query: key to its values.
    Returns:
        The request, or None if the query asks for no pictures.
    Raises:
        AskError: if a value is not allowed; keys of other pages are ignored.
    """
    one = {key: values[0] for key, values in query.items() if values}
    common = {key: one[key] for key in ("model", "revision", "seed", "truncation") if key in one}
    tab = one.get("tab", "sample")
    if tab == "morph" and {"from", "to"} & one.keys():
        steps = {"steps": one["steps"]} if "steps" in one else {}
        return MorphAsk.parse(from_class=one.get("from"), to_class=one.get("to"), **steps, **common)
    if tab == "walk" and {"class", "seed", "to_seed"} & one.keys():
        own = {key: one[key] for key in ("to_seed", "steps") if key in one}
        return WalkAsk.parse(class_=one.get("class"), **own, **common)
    count = {"count": one["n"]} if "n" in one else {}
    if tab == "mixture" and "class" in one:
        return MixtureAsk.parse(classes=query["class"], weights=query.get("weight"), **count, **common)
    if tab == "sample" and {"class", "seed"} & one.keys():
        return SampleAsk.parse(classes=query.get("class", []), **count, **common)
    return None

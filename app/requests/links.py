"""A link's query, and back to the request that it asks for."""

from app.limits import InvalidRequest
from app.requests.base import AnyRequest, MixtureRequest, MorphRequest, Query, SampleRequest, WalkRequest
from sngan_cond import Generator
from sngan_cond.classes import resolve_class
from sngan_cond.sampling import Rows, mixture_inputs, morph_inputs, sample_inputs, walk_inputs


def inputs_of(G: Generator, ask: AnyRequest) -> tuple[Rows, list[list[int]]]:
    """Draw the latents of a request and find its labels.

    Args:
        G: generator.
        ask: request.
    Returns:
        The rows, and for each the labels that it shows.
    Raises:
        InvalidRequest: if a class is unknown or ambiguous, or the model has none.
    """
    if isinstance(ask, SampleRequest):
        return _sample(G, ask)
    if isinstance(ask, MorphRequest):
        return _morph(G, ask)
    if isinstance(ask, MixtureRequest):
        return _mixture(G, ask)
    return _walk(G, ask)


def _sample(G: Generator, ask: SampleRequest) -> tuple[Rows, list[list[int]]]:
    if not G.config.num_classes:
        if ask.classes:
            raise InvalidRequest("this model has no classes: leave the class out")
        rows = sample_inputs(G, n=ask.count, seed=ask.seed, truncation=ask.truncation)
        return rows, [[] for _ in range(ask.count)]
    if not ask.classes:
        raise InvalidRequest("choose at least one class")
    chosen = labels_of(G, ask.classes)
    if len(set(chosen)) != len(chosen):
        raise InvalidRequest("a class is chosen twice: name it once, and ask for more pictures of each class")
    labels = [label for label in chosen for _ in range(ask.count)]
    return sample_inputs(G, classes=labels, seed=ask.seed, truncation=ask.truncation), [[label] for label in labels]


def _morph(G: Generator, ask: MorphRequest) -> tuple[Rows, list[list[int]]]:
    start, end = labels_of(G, (ask.from_class, ask.to_class))
    rows = morph_inputs(G, from_class=start, to_class=end, steps=ask.steps, seed=ask.seed, truncation=ask.truncation)
    return rows, [[start, end]] * ask.steps


def _mixture(G: Generator, ask: MixtureRequest) -> tuple[Rows, list[list[int]]]:
    labels = labels_of(G, ask.classes)
    if len(set(labels)) != len(labels):
        raise InvalidRequest("a class is in the mixture twice: give it one weight")
    weights = dict(zip(labels, ask.weights, strict=True))
    rows = mixture_inputs(G, weights=weights, n=ask.count, seed=ask.seed, truncation=ask.truncation)
    return rows, [labels] * ask.count


def _walk(G: Generator, ask: WalkRequest) -> tuple[Rows, list[list[int]]]:
    if ask.class_ and not G.config.num_classes:
        raise InvalidRequest("this model has no classes: leave the class out")
    if G.config.num_classes and not ask.class_:
        raise InvalidRequest("choose a class to walk in")
    labels = labels_of(G, (ask.class_,)) if ask.class_ else []
    rows = walk_inputs(
        G,
        in_class=labels[0] if labels else None,
        seed=ask.seed,
        to_seed=ask.to_seed,
        steps=ask.steps,
        truncation=ask.truncation,
    )
    return rows, [labels] * ask.steps


def labels_of(G: Generator, classes: tuple[str, ...]) -> list[int]:
    """Find the labels of classes.

    Args:
        G: generator.
        classes: indices, names or WordNet ids.
    Raises:
        InvalidRequest: if one is unknown, or means several; the message lists them.
    """
    try:
        return [resolve_class(G.config, text) for text in classes]
    except ValueError as error:
        raise InvalidRequest(str(error)) from error


def ask_from_query(query: Query) -> AnyRequest | None:
    """Read a link's query.

    Args:
        query: key to its values.
    Returns:
        The request, or None if the query asks for no pictures.
    Raises:
        InvalidRequest: if a value is not allowed; keys of other pages are ignored.
    """
    one = {key: values[0] for key, values in query.items() if values}
    common = {key: one[key] for key in ("model", "revision", "seed", "truncation") if key in one}
    tab = one.get("tab", "sample")
    if tab == "morph" and {"from", "to"} & one.keys():
        steps = {"steps": one["steps"]} if "steps" in one else {}
        return MorphRequest.parse(from_class=one.get("from"), to_class=one.get("to"), **steps, **common)
    if tab == "walk" and {"class", "seed", "to_seed"} & one.keys():
        own = {key: one[key] for key in ("to_seed", "steps") if key in one}
        return WalkRequest.parse(class_=one.get("class"), **own, **common)
    count = {"count": one["n"]} if "n" in one else {}
    if tab == "mixture" and "class" in one:
        return MixtureRequest.parse(classes=query["class"], weights=query.get("weight"), **count, **common)
    if tab == "sample" and {"class", "seed"} & one.keys():
        return SampleRequest.parse(classes=query.get("class", []), **count, **common)
    return None

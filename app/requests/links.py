"""A link's query, and back to the request that it asks for."""

from app.limits import AskError
from app.requests.base import AnyAsk, MixtureAsk, MorphAsk, Query, SampleAsk, WalkAsk
from sngan_cond import Generator
from sngan_cond.classes import resolve_class
from sngan_cond.sampling import Rows, mixture_rows, morph_rows, sample_rows, walk_rows


def rows_of(G: Generator, ask: AnyAsk) -> tuple[Rows, list[list[int]]]:
    """Draw the latents of a request and find its labels.

    Args:
        G: generator.
        ask: request.
    Returns:
        The rows, and for each the labels that it shows.
    Raises:
        AskError: if a class is unknown or ambiguous, or the model has none.
    """
    if isinstance(ask, SampleAsk):
        return _sample(G, ask)
    if isinstance(ask, MorphAsk):
        return _morph(G, ask)
    if isinstance(ask, MixtureAsk):
        return _mixture(G, ask)
    return _walk(G, ask)


def _sample(G: Generator, ask: SampleAsk) -> tuple[Rows, list[list[int]]]:
    if not G.config.num_classes:
        if ask.classes:
            raise AskError("this model has no classes: leave the class out")
        rows = sample_rows(G, n=ask.count, seed=ask.seed, truncation=ask.truncation)
        return rows, [[] for _ in range(ask.count)]
    if not ask.classes:
        raise AskError("choose at least one class")
    chosen = labels_of(G, ask.classes)
    if len(set(chosen)) != len(chosen):
        raise AskError("a class is chosen twice: name it once, and ask for more pictures of each class")
    labels = [label for label in chosen for _ in range(ask.count)]
    return sample_rows(G, classes=labels, seed=ask.seed, truncation=ask.truncation), [[label] for label in labels]


def _morph(G: Generator, ask: MorphAsk) -> tuple[Rows, list[list[int]]]:
    start, end = labels_of(G, (ask.from_class, ask.to_class))
    rows = morph_rows(G, from_class=start, to_class=end, steps=ask.steps, seed=ask.seed, truncation=ask.truncation)
    return rows, [[start, end]] * ask.steps


def _mixture(G: Generator, ask: MixtureAsk) -> tuple[Rows, list[list[int]]]:
    labels = labels_of(G, ask.classes)
    if len(set(labels)) != len(labels):
        raise AskError("a class is in the mixture twice: give it one weight")
    weights = dict(zip(labels, ask.weights, strict=True))
    rows = mixture_rows(G, weights=weights, n=ask.count, seed=ask.seed, truncation=ask.truncation)
    return rows, [labels] * ask.count


def _walk(G: Generator, ask: WalkAsk) -> tuple[Rows, list[list[int]]]:
    if ask.class_ and not G.config.num_classes:
        raise AskError("this model has no classes: leave the class out")
    if G.config.num_classes and not ask.class_:
        raise AskError("choose a class to walk in")
    labels = labels_of(G, (ask.class_,)) if ask.class_ else []
    rows = walk_rows(
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
        AskError: if one is unknown, or means several; the message lists them.
    """
    try:
        return [resolve_class(G.config, text) for text in classes]
    except ValueError as error:
        raise AskError(str(error)) from error


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

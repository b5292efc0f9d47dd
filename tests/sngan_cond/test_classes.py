"""From typed text to a label and back."""

import time
from functools import partial

import numpy as np
import pytest
import torch

from sngan_cond import GeneratorConfig
from sngan_cond.classes import Classes, class_label, class_text, imagenet_classes, resolve_class, search_classes
from tests.refusals import refused


def config(names: tuple[str, ...] | None, ids: tuple[str, ...] | None = None, k: int | None = None) -> GeneratorConfig:
    count = k if k is not None else len(names or ids or ())
    return GeneratorConfig(resolution=32, num_classes=count, class_names=names, class_ids=ids)


IMAGENET = config(*imagenet_classes())
BIRDS = config(
    ("tench, Tinca tinca", "crane", "Hen", "crane", "hen-of-the-woods, hen, Polyporus frondosus", "snail"),
    ("n01", "n02", "n03", "n04", "n05", "n06"),
)
BARE = config(None, k=10)


def test_imagenets_classes() -> None:
    names, ids = imagenet_classes()
    assert len(names) == len(ids) == 1000
    assert list(ids) == sorted(ids)
    assert all(len(wnid) == 9 and wnid[0] == "n" and wnid[1:].isdigit() for wnid in ids)
    assert all(name.strip() == name != "" for name in names)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("0", 0),
        (" 999 ", 999),
        ("tench", 0),
        ("TENCH", 0),
        ("golden_retriever", 207),
        ("Golden  Retriever", 207),
        ("n02099601", 207),
        ("N02099601", 207),
        ("golf ball", 574),
        ("crane bird", 134),
        ("tiger", 292),  # a whole name, though "tiger shark" and "tiger cat" begin with it
    ],
)
def test_one_class_is_meant(text: str, label: int) -> None:
    assert resolve_class(IMAGENET, text) == label


def test_synonyms() -> None:
    assert resolve_class(BIRDS, "tinca TINCA") == 0
    assert resolve_class(BIRDS, "tench, tinca tinca") == 0
    assert resolve_class(BIRDS, "Polyporus frondosus") == 4
    assert resolve_class(BIRDS, "n04") == 3


@pytest.mark.parametrize(
    ("model", "text", "candidates"),
    [
        (BIRDS, "Crane", "1 / n02 / crane, 3 / n04 / crane"),
        (BIRDS, "hen", "2 / n03 / Hen, 4 / n05 / hen-of-the-woods, hen, Polyporus frondosus"),
        (IMAGENET, "crane", "134 / n02012849 / crane bird, 517 / n03126707 / crane"),
        (IMAGENET, "cardigan", "264 / n02113186 / Cardigan, 474 / n02963159 / cardigan"),
    ],
)
def test_several_are_listed(model: GeneratorConfig, text: str, candidates: str) -> None:
    line = refused(lambda: resolve_class(model, text))
    assert line == f"class {text!r} means several: {candidates}; give an index or a WordNet id"


def test_many_are_not_all_listed() -> None:
    refused(lambda: resolve_class(config(("thing",) * 20), "thing"), "7 / thing, 12 more; give an index")


@pytest.mark.parametrize(
    ("model", "text", "message"),
    [
        (IMAGENET, "golden retreiver", "near are 207 / n02099601 / golden retriever"),
        (IMAGENET, "1000", "class '1000' is unknown: an index from 0 to 999, a name or a WordNet id is allowed"),
        (IMAGENET, "-1", "class '-1' is unknown"),
        (IMAGENET, "n99999999", "class 'n99999999' is unknown"),
        (IMAGENET, "", "class '' is unknown"),
        (IMAGENET, "  ", "class '  ' is unknown"),
        (IMAGENET, "tench (n03126707)", "is unknown"),
        (BARE, "tench", "class 'tench': this model's classes have no names; an index from 0 to 9 is allowed"),
        (config(None, k=0), "tench", "this model has no classes (num_classes=0)"),
    ],
)
def test_unknown_ones_say_what_is_near(model: GeneratorConfig, text: str, message: str) -> None:
    refused(lambda: resolve_class(model, text), message)


def test_hostile_text_is_refused_quickly_and_briefly() -> None:
    for text in ("x" * 10**6, "9" * 10**6, "\n<b>\x00" * 10**5):
        start = time.perf_counter()
        assert len(refused(partial(resolve_class, IMAGENET, text), "is unknown")) < 400
        assert time.perf_counter() - start < 5


def test_a_name_of_digits_wins_over_an_index_that_is_a_text() -> None:
    numbered = config(("0", "1", "10", "2"))
    assert [resolve_class(numbered, text) for text in ("2", "10", "0", "3")] == [3, 2, 0, 3]
    assert [resolve_class(numbered, label) for label in (2, np.int64(3))] == [2, 3]
    assert search_classes(numbered, "2") == [3, 2]
    twice = config(("1", "x", "1"))
    refused(lambda: resolve_class(twice, "1"), "means several: 0 / 1, 2 / 1; give an index")
    assert [resolve_class(twice, text) for text in ("0", "2")] == [0, 2]


@pytest.mark.parametrize(
    "model",
    [
        IMAGENET,
        BIRDS,
        BARE,
        config(("7", "1", "0")),
        config(("", "a", "a")),
        config(None, ("n1", "n2")),
        config(("", "0")),
    ],
)
def test_labels_resolve_to_themselves(model: GeneratorConfig) -> None:
    labels = [class_label(model, index) for index in range(model.num_classes)]
    assert len(set(labels)) == len(labels)
    assert [resolve_class(model, label) for label in labels] == list(range(model.num_classes))
    texts = [class_text(model, index) for index in range(model.num_classes)]
    assert [resolve_class(model, text) for text in texts] == list(range(model.num_classes))


def test_labels() -> None:
    assert class_label(IMAGENET, 0) == "tench"
    assert class_label(IMAGENET, 517) == "crane (n03126707)"
    assert class_label(IMAGENET, 474) == "cardigan (n02963159)"
    assert class_label(BARE, 3) == "3"
    assert [class_label(config(("2", "7")), index) for index in (0, 1)] == ["2", "7"]
    assert [class_text(config(("2", "1", "0")), index) for index in range(3)] == ["2", "1", "0"]
    assert class_text(IMAGENET, 517) == "517"
    for index in (-1, 1000):
        refused(partial(class_label, IMAGENET, index), f"class {index}: an index from 0 to 999")
    refused(lambda: class_label(config(None, k=0), 0), "no classes")


def test_classes_are_a_sequence_of_names_that_can_be_searched() -> None:
    birds = Classes(BIRDS)
    assert list(birds) == [class_label(BIRDS, label) for label in range(6)]
    assert (len(birds), birds[3], birds[-1], birds[1:3]) == (6, "crane (n04)", "snail", ("crane (n02)", "Hen (n03)"))
    assert [birds.index(name) for name in birds] == list(range(6))
    assert [birds.index(given) for given in (5, np.int64(3), torch.tensor(2), "SNAIL", "n02")] == [5, 3, 2, 5, 1]
    assert [given in birds for given in ("Tinca tinca", 5, 6, "crane", "heron", None)] == [True, True] + [False] * 4
    assert birds.search("hen") == {2: "Hen (n03)", 4: "hen-of-the-woods, hen, Polyporus frondosus"}
    assert list(Classes(IMAGENET).search("tiger", limit=2)) == [292, 3]
    assert repr(birds) == "<6 classes: 'tench, Tinca tinca', 'crane (n02)', 'Hen (n03)', ...>"
    assert birds == Classes(BIRDS)
    assert (list(Classes(BARE))[:2], 10 in Classes(BARE)) == (["0", "1"], False)
    with pytest.raises(IndexError, match="class 6: this model has 6 classes"):
        birds[6]
    none = Classes(config(None, k=0))
    assert (len(none), list(none), none.search("a"), "a" in none, repr(none)) == (0, [], {}, False, "<0 classes>")
    refused(lambda: none.index(0), "no classes")
    refused(lambda: birds.search(5), "query=5: a text is allowed")


def test_search_ranks() -> None:
    assert search_classes(IMAGENET, "207")[0] == 207
    assert search_classes(IMAGENET, "tiger", limit=4) == [292, 3, 282, 300]  # the whole name, then beginnings
    assert search_classes(IMAGENET, "n02099601") == [207]
    assert set(search_classes(IMAGENET, "crane")) >= {134, 517}
    assert search_classes(IMAGENET, "RETRIEVER", limit=3) == [205, 206, 207]
    assert search_classes(IMAGENET, "goldne retriever", limit=1) == [207]
    assert search_classes(IMAGENET, "retriver", limit=5) == [205, 206, 207, 208, 209]  # a word of each name
    assert search_classes(IMAGENET, "sibrian huskey", limit=1) == [250]
    assert search_classes(IMAGENET, "goldfich", limit=1) == [11]  # goldfinch, not goldfish
    assert search_classes(IMAGENET, "qqqqq") == []
    assert search_classes(IMAGENET, "") == list(range(20))
    assert search_classes(IMAGENET, "e", limit=7).__len__() == 7
    assert search_classes(IMAGENET, "zzzzqqqq") == []
    assert search_classes(IMAGENET, "tench", limit=0) == []
    assert search_classes(BARE, "3") == [3]
    assert search_classes(config(None, k=0), "a") == []

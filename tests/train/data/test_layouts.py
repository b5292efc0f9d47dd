"""Folders and archives as people have them: what becomes of each, in pixels, classes and remarks."""

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.train.data.trees import (
    CLASSES,
    KAGGLE,
    SPLITS,
    STYLEGAN,
    Tree,
    by_class,
    encoded,
    folder,
    opened,
    tarred,
    tarred_and_gzipped,
    zipped,
)

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


class Layout(NamedTuple):
    tree: Tree
    expected: dict[str, list[int]]
    remarks: tuple[str, ...] = ()  # the beginning of each
    asked: Mapping[str, Any] = MappingProxyType({})
    make: Callable[[Path, Tree], Path] = folder


TWO = {"cat": [3], "dog": [2, 1]}  # what CLASSES are
LAYOUTS = {
    "class folders": Layout(CLASSES, TWO),
    "class folders in a zip": Layout(CLASSES, TWO, make=zipped),
    "class folders in a tar": Layout(CLASSES, TWO, make=tarred),
    "class folders in a tar.gz, in its order": Layout(CLASSES, {"cat": [3], "dog": [1, 2]}, make=tarred_and_gzipped),
    "nested folders": Layout({"cat/2020/may/a.png": 1, "cat/b.png": 2, "dog/x/y.png": 3}, {"cat": [1, 2], "dog": [3]}),
    "one folder too deep": Layout(
        {f"it/{name}": x for name, x in CLASSES.items()}, TWO, ("images are looked for in ",)
    ),
    "an unzipped data set": Layout(
        {"it/it/2/a.png": 1, "it/it/10/a.png": 2},
        {"2": [1], "10": [2]},
        ("images are looked for in ", 'classes are numbers but not their labels: label 0 is class "2"'),
    ),
    "a top folder in a zip": Layout(
        {f"photos/{name}": x for name, x in CLASSES.items()}, TWO, ("images are looked for in ",), make=zipped
    ),
    "a split": Layout(SPLITS, {"cat": [4], "dog": [3]}, asked={"split": "val"}),
    "a split one folder too deep": Layout(
        {f"set/{name}": x for name, x in SPLITS.items()},
        {"cat": [2], "dog": [1]},
        ("images are looked for in ",),
        {"split": "train/"},
        make=tarred,
    ),
    "one split alone": Layout(
        {name: x for name, x in SPLITS.items() if "train" in name},
        {"cat": [2], "dog": [1]},
        ("images are looked for in ",),
    ),
    "one class of several folders": Layout({"cat/a/1.png": 1, "cat/b/2.png": 2, "cat/3.png": 3}, {"cat": [3, 1, 2]}),
    "one class of several folders, and an image": Layout(
        {"cat/a/1.png": 1, "cat/b/2.png": 2, "3.png": 3}, {"cat": [1, 2]}, ("left out: 1 images beside the class",)
    ),
    "numbered folders in a folder called as such are": Layout(
        {"Images/0/a.png": 1, "Images/1/a.png": 2},
        {"0": [1], "1": [2]},
        ("images are looked for in ", "classes are named"),
    ),
    "no classes": Layout({"b.png": 1, "a.png": 2, "more/c.jpeg": 3}, {"": [2, 1, 3]}, asked={"unlabelled": True}),
    "ImageNet": Layout({"n03888257/1.JPEG": 1, "n01440764/2.JPEG": 2}, {"tench": [2], "parachute": [1]}),
    "a zip made on macOS": Layout(
        CLASSES | {"__MACOSX/dog/._a.png": "x", "dog/._a.png": "x", ".DS_Store": "x", f"{NFD}/a.png": 4},
        {NFD: [4]} | TWO,
        ("left out as junk: folders named __MACOSX",),
        make=zipped,
    ),
    "Windows": Layout(
        {
            "dog/A.JPG": encoded(1),
            "dog/Thumbs.db": "x",
            "cat/a.PNG": 2,
            "cat/desktop.ini": "x",
            "$RECYCLE.BIN/$R1.png": 3,
        },
        {"cat": [2], "dog": [1]},
        ("left out as junk: folders named $RECYCLE.BIN",),
    ),
    "network storage, Linux and notebooks": Layout(
        CLASSES
        | {"@eaDir/dog/a.png": 4, "dog/@eaDir/a.png": 5, "lost+found": None, ".ipynb_checkpoints/a.png": 6}
        | {".git/x.png": 7, "cat/.thumbnails/x.png": 8},
        TWO,
        ("left out as junk: folders named .git, .ipynb_checkpoints, .thumbnails, @eaDir, lost+found",),
    ),
    "a camera card": Layout(
        {"DCIM/100CANON/IMG_1.JPG": 1, "DCIM/101CANON/IMG_2.JPG": 2, "DCIM/101CANON/IMG_2.CR2": "x", "MISC": None},
        {"": [1, 2]},
        ("left out: 1 .cr2",),
        {"unlabelled": True},
    ),
    "a phone": Layout(
        {"dog/1.jpg": 1, "dog/1.MOV": "x", "dog/1.AAE": "x", "cat/2.jpg": 2, "cat/2.mov": "x", "cat/3.mov": "x"},
        {"cat": [2], "dog": [1]},
        ("left out: 3 .mov (2 in cat, 1 in dog), 1 .aae in dog",),
    ),
    "a scraper": Layout(
        {"dog/a.jpg?w=1.5&h=2": 1, "dog/b": 2, "dog/README": "of dogs", "cat/c.jpg.png:large": 3, "cat/d.gif": 4},
        {"cat": [3, 4], "dog": [1, 2]},
        ("left out: 1 without suffix in dog",),
    ),
    "a label tool": Layout(
        {"images/1.png": 1, "images/2.png": 2, "images/3.png": 3, "images/4.png": 4, "images/1.xml": "x"}
        | {
            "labels.csv": "\ufefffilename;class;xmin\r\n2.png;dog;0\r\n1.png;cat;0\r\n"
            "2.png;dog;5\r\nno.png;cat;1\r\n3.png;;\r\n"
        },
        {"cat": [1], "dog": [2]},
        (
            "labels are from ",
            "it/labels.csv lists 1 files that are no image here, the first no.png",
            "left out: 2 images without a label in it/labels.csv, the first images/3.png",
            "left out: 1 .xml",
        ),
    ),
    "a label tool, of sorted images": Layout(
        {"all/a/1.png": 1, "all/b/2.png": 2, "labels.csv": "image,label\nall/a/1.png,x\nall/b/2.png,x\n"},
        {"x": [1, 2]},
        ("labels are from ",),
    ),
    "the Hub's imagefolder": Layout(
        {"train/1.png": 1, "train/deep/2.png": 2, "test/1.png": 3}
        | {"train/metadata.jsonl": '{"file_name": "1.png", "label": 1}\n\n{"file_name": "deep/2.png", "label": 0}\n'},
        {"0": [2], "1": [1]},
        ("labels are from ", "classes are named by their labels: label 1"),
        {"split": "train"},
    ),
    "StyleGAN's zip": Layout(
        STYLEGAN,
        {"2": [2], "10": [1, 3]},
        ("labels are from ", 'classes are numbers but not their labels: label 0 is class "2"'),
        make=zipped,
    ),
    "Kaggle": Layout(KAGGLE, {"boxer": [1], "pug": [2, 3]}, asked={"split": "train", "labels": "train.csv"}),
    "WebDataset": Layout(
        {"000.png": 1, "000.cls": "12", "001.seg.png": 2, "001.cls": "3\n", "002.png": 3, "002.cls": "12"},
        {"3": [2], "12": [1, 3]},
        ('classes are numbers but not their labels: label 0 is class "3"',),
        make=tarred_and_gzipped,
    ),
    "a spreadsheet's numbers": Layout(
        {"1.png": 1, "2.png": 2, "labels.csv": "file,label\n1.png,10.0\n2.png,2.0\n"},
        {"2.0": [2], "10.0": [1]},
        ("labels are from ", 'classes are numbers but not their labels: label 0 is class "2.0"'),
    ),
    "a file that says what the folders say": Layout(
        CLASSES | {"labels.csv": "file,label\ndog/b.png,1\ndog/a.png,1\ncat/x.png,0\n"}, TWO
    ),
    "a table of something else": Layout(
        CLASSES | {"labels.csv": "wnid,name\nn1,dog\n"}, TWO, ("classes are the folders, for it/labels.csv: no column",)
    ),
    "folders rather than a file": Layout(
        CLASSES | {"labels.csv": "file,label\ndog/b.png,1\n"}, TWO, asked={"labels": "folders"}
    ),
    "a column, and paths of another machine": Layout(
        {"a/1.png": 1, "b/1.png": 2}
        | {"data.tsv": "Path\tclass\tkind\nC:\\set\\a\\1.png\t0\tn03888257\nC:\\set\\b\\1.png\t0\tn01440764\n"},
        {"tench": [2], "parachute": [1]},
        asked={"labels": "data.tsv", "label_column": "kind"},
    ),
    "spaces, Unicode, one name in two forms": Layout(
        {f"{NFC}/a b.png": 1, f"{NFD}/ü.png": 2, " lead/犬.png": 3},
        {" lead": [3], NFD: [2], NFC: [1]},
        (f"classes differ in nothing but letter case or the form of accents: '{NFD}', '{NFC}'",),
    ),
    "names that differ in letter case": Layout(
        {"Cat/a.png": 1, "cat/a.png": 2}, {"Cat": [1], "cat": [2]}, ("classes differ in nothing",)
    ),
    "numbered classes": Layout(
        {"10/a.png": 1, "8/a.png": 2, "0/a.png": 3, "01/a.png": 4},
        {"0": [3], "01": [4], "8": [2], "10": [1]},
        ('classes are numbers but not their labels: label 1 is class "01"',),
    ),
    "images beside class folders": Layout(
        CLASSES | {"loose.png": 4, "notes.txt": "x"},
        TWO,
        ("left out: 1 images beside the class folders, the first loose",),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_becomes_of_a_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tree, expected, remarks, asked, make = LAYOUTS[name]
    monkeypatch.chdir(tmp_path)
    path = make(Path("it" if make is folder else "photos"), tree)
    source = opened(path, **asked)
    found = by_class(source)
    assert list(found.items()) == list(expected.items())  # in label order
    assert len(source.remarks) == len(remarks), source.remarks
    for said, beginning in zip(source.remarks, remarks, strict=True):
        assert said.startswith(beginning)

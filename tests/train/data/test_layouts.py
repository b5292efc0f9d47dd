"""Folders and archives as people have them: what becomes of each, in pixels, classes and remarks."""

import json
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.refusals import refused
from tests.train.data.trees import Tree, by_class, encoded, folder, opened, tarred, tarred_and_gzipped, zipped
from train.errors import DataError

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


class Layout(NamedTuple):
    tree: Tree
    expected: dict[str, list[int]]
    remarks: tuple[str, ...] = ()  # the beginning of each
    asked: Mapping[str, Any] = MappingProxyType({})
    make: Callable[[Path, Tree], Path] = folder


CLASSES: Tree = {"dog/b.png": 1, "dog/a.png": 2, "cat/x.png": 3}
SPLITS: Tree = {"train/dog/a.png": 1, "train/cat/a.png": 2, "val/dog/a.png": 3, "val/cat/a.png": 4}
TWO = {"cat": [3], "dog": [2, 1]}
STYLEGAN: Tree = {
    "00000/img0.png": 1,
    "00000/img1.png": 2,
    "00001/img2.png": 3,
    "dataset.json": json.dumps({"labels": [["00000/img0.png", 10], ["00000/img1.png", 2], ["00001/img2.png", 10]]}),
}
KAGGLE: Tree = {"train/7f.png": 1, "train/a1.png": 2, "train/b2.png": 3, "test/c3.png": 4}
KAGGLE |= {"train.csv": "id,breed\na1,pug\n7f,boxer\nb2,pug\n"}

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
        (f"1 times classes differ in nothing but letter case or the form of accents: '{NFD}', '{NFC}'",),
    ),
    "names that differ in letter case": Layout(
        {"Cat/a.png": 1, "cat/a.png": 2}, {"Cat": [1], "cat": [2]}, ("1 times classes differ in nothing",)
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


REFUSED: dict[str, tuple[Tree, dict[str, Any], tuple[str, ...]]] = {
    "splits": (SPLITS | {"extra/x.png": 5}, {}, ("holds splits, not classes; pass --split train",)),
    "no classes": ({"a.png": 1}, {}, ("holds no class sub-folder (or pass --unlabelled)", "1 images by --labels FILE")),
    "no classes, but a table": (KAGGLE, {"split": "train"}, ("give the labels of its 3 images by --labels train.csv",)),
    "shards of another program": ({"a-0.tar": "x", "a-1.tar": "x"}, {}, ("; it holds 2 .tar",)),
    "a camera card": ({"DCIM/100CANON/1.jpg": 1, "MISC": None}, {}, ("holds a camera's folders (DCIM, MISC)",)),
    "a camera's folders": ({"100CANON/1.jpg": 1, "101_0311/2.jpg": 2}, {}, ("folders (100CANON, 101_0311), not",)),
    "an empty class": (
        CLASSES | {"empty": None},
        {},
        ("it/empty holds no image (.jpg", "; add images, or delete what"),
    ),
    "a class lost": (
        CLASSES | {"own/1.cr2": "x", "own/2.cr2": "x"},
        {},
        ("it/own holds no image (", "it holds 2 .cr2;"),
    ),
    "images beside notes": (
        {"notes/a.xml": "x", "set/cat/a.png": 1, "set/dog/a.png": 2},
        {},
        ("it/notes holds no image (", "it holds 1 .xml", "or pass --split set if the classes are in there"),
    ),
    "one folder of numbered ones": (
        {"faces/00000/1.png": 1, "faces/00001/2.png": 2},
        {},
        ("it holds one folder, faces, of numbered folders; pass --split faces if these are classes, or --unlabelled",),
    ),
    "StyleGAN's without labels": (
        STYLEGAN | {"dataset.json": '{"labels": null}'},
        {},
        ("no labels; pass --unlabelled",),
    ),
    "folders against a file": (
        {"a/1.png": 1, "b/2.png": 2, "labels.csv": "file,label\na/1.png,x\nb/2.png,x\n"},
        {},
        (
            "holds class folders and labels.csv, which says something else; ",
            "pass --labels labels.csv or --labels folders",
        ),
    ),
    "two columns of labels": (
        {"1.png": 1, "labels.csv": "file,class,class_name\n1.png,0,cat\n"},
        {},
        ("labels may be in 'class' or 'class_name'; pass --label-column with one of 'file', 'class', 'class_name'",),
    ),
    "no such column": (
        {"1.png": 1, "labels.csv": "file,kind,size\n1.png,cat,3\n"},
        {"label_column": "kin"},
        ("--label-column is 'kin'; allowed are the columns of it/labels.csv: 'file', 'kind', 'size'",),
    ),
    "no column of files": (
        {"1.png": 1, "labels.csv": "a,b,c\n1,2,3\n"},
        {},
        ("no column names files; it has 'a', 'b', 'c'",),
    ),
    "two labels": (
        {"1.png": 1, "labels.csv": "file,label\n1.png,a\n./1.png,b\n"},
        {},
        ("gives 1 times an image a second label, the first time 1.png is 'a' and 'b'",),
    ),
    "two images of one name": (
        {"x/1.png": 1, "y/1.png": 2, "list": "file,label\n1.png,a\n"},
        {"labels": "list"},
        ("list: 1.png may be x/1.png or y/1.png; allowed are paths",),
    ),
    "other images": (
        {"x/1.png": 1, "list": "file,label\n2.png,a\n3.png,b\n"},
        {"labels": "list"},
        ("list: none of its 2 files, the first 2.png, is an image below ",),
    ),
    "a file that is not there": (
        CLASSES,
        {"labels": "no.csv"},
        ("--labels is 'no.csv': No such file", "and 'folders'"),
    ),
    "no text": ({"1.png": 1, "labels.csv": b"file,label\n1.png,caf\xe9\n"}, {}, ("labels.csv: is no text in UTF-8 (",)),
    "no CSV": ({"1.png": 1, "labels.csv": 'file,label\n"1.png,a\n'}, {}, ("labels.csv: cannot be read as CSV (",)),
    "nothing in it": ({"1.png": 1, "labels.csv": "file,label\n"}, {}, ("labels.csv: holds no line of a file and",)),
    "no JSON": (
        {"1.png": 1, "metadata.jsonl": '\n{"file": 1'},
        {},
        ("metadata.jsonl, line 2: cannot be read as JSON",),
    ),
    "vectors": (
        {"1.png": 1, "dataset.json": '{"labels": [["1.png", [0, 1]]]}'},
        {},
        ("dataset.json: [0, 1] is neither a file nor a label; allowed are texts and integers",),
    ),
    "another dataset.json": (
        {"1.png": 1, "dataset.json": '{"labels": {}}'},
        {},
        ("dataset.json: labels is missing; allowed",),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_clear_is_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tree, asked, words = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    path = folder(Path("it"), tree)
    refused(lambda: opened(path, **asked), *words, by=DataError)

"""Folders of which it is not clear what they mean: each is refused in one line that says how to go on."""

from pathlib import Path
from typing import Any

import pytest

from tests.refusals import refused
from tests.train.data.trees import CLASSES, KAGGLE, SPLITS, STYLEGAN, Tree, folder, opened
from train.errors import DataError

REFUSED: dict[str, tuple[Tree, dict[str, Any], tuple[str, ...]]] = {
    "splits": (SPLITS | {"dev/x.png": 5, "extra/x.png": 6}, {}, ("holds splits, not classes; pass --split train",)),
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
    "nothing": ({"a/b": None}, {}, ("it/a holds no image (",)),
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
    "a label cut at its comma": (
        {"1.png": 1, "labels.csv": "file,label\n\n1.png,cat, big\n"},
        {},
        ("labels.csv, line 3: has more cells than the header; a text that holds ',' needs quotes",),
    ),
    "no label": (
        {"1.png": 1, "labels.csv": "file,label\n1.png,\n"},
        {},
        ("labels.csv: gives no image a label; pass --label-column, or --unlabelled",),
    ),
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

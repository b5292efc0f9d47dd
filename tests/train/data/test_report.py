"""The report: what it counts and measures, which images it calls duplicates, and that names stay text."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.images import arguments, image_folder, made, prepare, refusal, smooth_image
from train.data.dataset import PreparedDataset
from train.data.image import decode, size_of
from train.data.report import contents, duplicates
from train.data.report.duplicates import Group, find_duplicates
from train.data.sources import open_source
from train.data.sources.base import SourceRequest
from train.page import legible

HOSTILE = ("<script>x='1'", '\u202egnp."&lt;', "two\nlines")
HARMLESS = re.compile(
    "html|head|meta|title|style|body|main|h[123]|p|d[dlt]|div|pre|code|t(able|head|[dhr])|span|fig.*|img|b|bdi|br|small"
)


class Page(HTMLParser):
    """The tags and the text of a page, and the addresses in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text, self.groups = "", []
        self.addresses, self.titles, self.open = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        self.titles += [value for name, value in attributes if name == "title"]
        if ("class", "group") in attributes or ("class", "group across") in attributes:
            self.groups.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.groups:
            self.groups[-1] += data


def photographs(root: Path) -> Path:
    """Three classes of hostile names; one image copied within its class, one into another, one saved larger there."""
    image_folder(root, dict(zip(HOSTILE, (12, 9, 7), strict=True)))
    first, second, third = (root / name for name in HOSTILE)
    (first / "copy of 4.jpg").write_bytes((first / "004.jpg").read_bytes())
    (second / "copy of 5.jpg").write_bytes((first / "005.jpg").read_bytes())
    with Image.open(third / "002.jpg") as image:
        image.resize((52, 48)).save(second / "large.jpg", quality=60)
    (first / "0 no\timage\n.jpg").touch()
    (root / "@eaDir").mkdir()
    return root


def test_a_page_of_what_a_set_holds(tmp_path: Path) -> None:
    root, report = photographs(tmp_path / "photographs"), tmp_path / "pages" / "report.html"
    line = arguments(root, tmp_path / "out", report=report)
    said = prepare(*line)[1]
    found = "1 group of near duplicates, 2 across classes"
    assert said.endswith(f"{report} is written: 2 groups of identical images, {found}\n")
    page, before = Page(report), report.read_bytes()
    assert [tag for tag in page.tags if not HARMLESS.fullmatch(tag)] == []
    assert all(address.startswith("data:image/webp;base64,") for address in page.addresses)
    assert len(page.addresses) == 12 + 11 + 7 + 3 * 2
    said = ("What was found in the source", "junk: folders named @eaDir", "1 unreadable", "From 7 (")
    said += ("1.9\ntimes as many", "3 of 3 classes have fewer than 100 images")
    for words in (*said, *map(legible, (*HOSTILE, "/0 no\timage\n.jpg"))):
        assert words in page.text
    pairs = (("005", "copy of 5"), ("002", "large"), ("004", "copy of 4"))
    for group, names in zip(page.groups, pairs, strict=True):
        assert all(f"/{name}.jpg" in group for name in names)
    assert ["in different classes" in group for group in page.groups] == [True, True, False]
    assert {legible(f"{HOSTILE[0]}/000.jpg"), legible(f"{HOSTILE[2]}/006.jpg")} <= set(page.titles)
    report.unlink()
    assert "was there already" in prepare(*line)[1]
    assert report.read_bytes() == before


def test_names_are_those_of_the_images_or_places(tmp_path: Path) -> None:
    """Each original, decoded and fitted, is the row; where two have the name of a bad one, names tell nothing."""
    root = photographs(tmp_path / "photographs")
    dataset = made(tmp_path, f"imagefolder:{root}", "--limit", 20)
    source = open_source(SourceRequest(f"imagefolder:{root}", 16))
    originals = contents.Originals(dataset, source, 20)
    rows = np.array([0, 7, 12, 18])
    for name, row in zip(originals.names(rows), rows, strict=True):
        pixels = np.asarray(decode(root / name).resize((16, 16), Image.Resampling.BILINEAR), float)
        assert np.abs(pixels - dataset.images[row]).mean() < 30  # not cropped; another image differs by 60 and more
    (dataset.folder / "skipped.tsv").write_text("file\treason\tdetail\nelsewhere.jpg\tunreadable\tx\n")
    assert contents.Originals(dataset, source, 20).names(rows)[1] == "image 7"


def test_sizes_are_those_that_a_viewer_shows(tmp_path: Path) -> None:
    upright = tmp_path / "photographs" / "cat" / "1.jpg"
    image_folder(tmp_path / "photographs", {"cat": 1})
    turned = Image.Exif()
    turned[0x0112] = 6
    smooth_image(1, 90, 40).save(upright, exif=turned)
    assert size_of(upright) == decode(upright).size == (40, 90)
    dataset = made(tmp_path, f"imagefolder:{upright.parents[1]}")
    source = open_source(SourceRequest(f"imagefolder:{upright.parents[1]}", 16))
    sizes = contents.read_sizes(contents.Originals(dataset, source, None), 2)
    assert sizes.commonest(9) == [("24 x 22", 1), ("40 x 90", 1)]
    assert sizes.histogram() == [("16 to 31", 1), ("32 to 47", 1)]
    upright.write_text("changed since")
    assert len(contents.read_sizes(contents.Originals(dataset, source, None), 2).width) == 1


def test_hashes_are_of_the_cosine_transform() -> None:
    """By way of NumPy's FFT of the mirrored image."""
    images = np.stack([np.asarray(smooth_image(seed, 24, 24)) for seed in range(5)])
    _, hashes, waves = duplicates._describe(images)
    turn = np.exp(-1j * np.pi * np.arange(8) / 48)
    for image, found, waved in zip(images, hashes, waves, strict=True):
        spectrum = image.astype(float)
        for axis in (0, 1):
            mirrored = np.concatenate([spectrum, np.flip(spectrum, axis)], axis)
            shape = [8 if i == axis else 1 for i in range(3)]
            spectrum = (np.fft.fft(mirrored, axis=axis).take(range(8), axis) * turn.reshape(shape)).real / 2
            spectrum.take(0, axis)[...] /= np.sqrt(2)
        scaled = spectrum * 2 / 24**2
        scaled[0] /= np.sqrt(2)
        scaled[:, 0] /= np.sqrt(2)
        np.testing.assert_allclose(waved.reshape(3, 63), scaled.reshape(64, 3)[1:].T, atol=0.05)  # of float16: 0.03
        grey = (scaled @ [0.299, 0.587, 0.114]).ravel()
        bits = grey > np.median(grey[1:])
        assert abs(found.tobytes().count(b"")) == 9
        assert np.unpackbits(np.frombuffer(found.tobytes(), np.uint8)).astype(bool).tolist() == bits.tolist()


def encoded(image: np.ndarray, quality: int) -> np.ndarray:
    Image.fromarray(image).save(file := io.BytesIO(), "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def test_duplicates_among_more_images_than_are_neighbours() -> None:
    """Of 400, each fortieth saved twice more: found all, and nothing else; two flat ones are no duplicates."""
    images = [np.asarray(smooth_image(seed, 32, 32)) for seed in range(398)]
    images += [np.full((32, 32, 3), grey, np.uint8) for grey in (90, 200)]
    labels = [0] * 400
    expected = []
    for row in range(0, 400, 40):
        images += [encoded(images[row], 95), encoded(images[row], 90)]
        labels += [0, row // 40 % 2]
        expected.append((row, len(images) - 2, len(images) - 1))
    order = np.random.default_rng(0).permutation(len(images))
    place = np.argsort(order)
    groups = find_duplicates(np.stack(images)[order], np.array(labels)[order])
    assert {group.rows for group in groups} == {tuple(sorted(place[list(rows)].tolist())) for rows in expected}
    assert [group.across for group in groups] == [True] * 5 + [False] * 5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_set_of_one_image_alone(count: int) -> None:
    image = np.asarray(smooth_image(0, 8, 8))
    expected = [Group(tuple(range(count)), identical=True, across=False)] if count > 1 else []
    assert find_duplicates(np.stack([image] * count), np.zeros(count, np.int64)) == expected


def test_samples_are_spread_over_classes_and_images(tmp_path: Path) -> None:
    line = ("--source", "shapes:9", "--resolution", 8, "--workers", 1, "--limit", 45, "--out", tmp_path / "out")
    prepare(*line)
    chosen = contents.samples(PreparedDataset.open(tmp_path / "out"), 5, 4)
    assert list(chosen) == [0, 2, 4, 6, 8]
    assert chosen[2].tolist() == [2, 11, 29, 38]


def test_a_set_without_classes(tmp_path: Path) -> None:
    line = ("--source", "shapes:2", "--resolution", 8, "--workers", 1, "--limit", 9, "--unlabelled")
    prepare(*line, "--out", tmp_path / "out", "--report", tmp_path / "out.html")
    page = Page(tmp_path / "out.html")
    assert ("Images a class" in page.text, len(page.addresses)) == (False, 9)
    assert page.titles == [f"shapes[{i}]" for i in range(9)]
    assert "What was found" not in page.text
    assert "Every image that was found could be used." in page.text


def test_where_a_report_cannot_be(tmp_path: Path) -> None:
    line = ("--source", "shapes:2", "--resolution", 8, "--workers", 1, "--limit", 4, "--out", tmp_path / "out")
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").touch()
    said = refusal(*line, "--report", "report.pdf")
    assert said == "--report is 'report.pdf'; allowed is a file's name that ends in .html or .htm"
    assert "folder.html', a folder; allowed is a file's name" in refusal(*line, "--report", tmp_path / "folder.html")
    assert not (tmp_path / "out").exists()
    status, _, err = prepare(*line, "--report", tmp_path / "file" / "report.html")
    assert status == 2
    assert "error: --report: cannot write " in err
    assert err.endswith("; the data set itself is whole")
    assert len(PreparedDataset.open(tmp_path / "out")) == 4


def test_what_does_not_print_is_written_out() -> None:
    assert legible("a\u202eb\n\0\ud800") == r"a\u202eb\n\x00\ud800"
    assert legible("café 🧑‍🚀 می‌خواهم") == "café 🧑‍🚀 می‌خواهم"

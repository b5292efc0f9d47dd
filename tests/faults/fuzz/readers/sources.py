"""Where images come from: archives, files of labels, encoded images and their colour profiles."""

import functools
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from tests.faults.fuzz.engine import Reader
from tests.faults.fuzz.formats import (
    of_members,
    png_again,
    tar_again,
    unpack_png,
    untar,
    unzip,
    zip_again,
)
from tests.faults.fuzz.mutate import mutate_bytes, mutate_json, mutate_lines, mutate_text
from tests.faults.fuzz.readers.common import (
    check_line,
    fixed,
    put,
)
from tests.train.data.icc import SRGB, cmyk_profile, grey_profile, rgb_profile, to_xyz
from tests.train.data.trees import KAGGLE, STYLEGAN, content, tarred, zipped
from train.data import colour, image
from train.data.image import BadImageError
from train.data.sources import archives, files, label_file, labels, layout, listing, open_source
from train.data.sources.base import SourceRequest
from train.errors import DataError


def _labels(ending: str) -> object:
    images = ["a/img0.png", "a/img1.png", "b/img2.png", "7f.png", "a1.png", "b2.png"]

    def read(folder: Path, data: bytes) -> object:
        entries = labels.read_entries(data, f"labels{ending}", None)
        return labels.labels_of(entries, images, "labels", "/data/set")

    return read


def _folder_seeds(folder: Path) -> Sequence[bytes]:
    return [
        zipped(folder / "a", {**STYLEGAN, "x/y.txt": "no"}).read_bytes(),
        zipped(folder / "b", KAGGLE | {"train/.cls": "1"}).read_bytes(),
    ]


def _tar_seeds(folder: Path) -> Sequence[bytes]:
    tree = {"dog/b.png": 1, "dog/a.cls": "2", "cat/x.png": 3}
    return [
        tarred(folder / "a", tree).read_bytes(),
        tarred(folder / "b", tree, "gz").read_bytes(),
        tarred(folder / "c", STYLEGAN).read_bytes(),
    ]


def _archive(folder: Path, data: bytes) -> object:
    archives._opened_zip.cache_clear()  # files of one name and instant
    archives._opened_stream.cache_clear()
    path = put(folder / "a", data)
    asked = SourceRequest(f"imagefolder:{path}", 4)
    try:
        source = open_source(asked)
    except DataError as error:
        if "--label" in str(error) or "class" in str(error):
            source = open_source(SourceRequest(f"imagefolder:{path}", 4, unlabelled=True))
        else:
            raise
    for item in source.items(np.arange(min(len(source.labels), 4))):
        for read in (item.size, item.load):
            try:
                read()
            except BadImageError as error:
                check_line(str(error))
    return source.listing


@functools.cache
def _profiles() -> tuple[bytes, ...]:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    table = np.arange(48, dtype=np.uint8).reshape(16, 3)
    return (srgb, rgb_profile(to_xyz(SRGB), 1.8), grey_profile(2.2), cmyk_profile(table))


def _encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    written = io.BytesIO()
    pixels = np.arange(5 * 4 * len(Image.new(mode, (1, 1)).getbands()), dtype=np.uint8)
    Image.frombytes(mode, (5, 4), pixels.tobytes()).save(written, kind, **options)
    return written.getvalue()


def _image_seeds(_: Path) -> Sequence[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb, grey, cmyk = _profiles()[1:]
    return [
        _encoded("JPEG", icc_profile=rgb, exif=exif),
        _encoded("JPEG", "CMYK", icc_profile=cmyk),
        _encoded("JPEG", "L", icc_profile=grey, progressive=True),
        *(_encoded(kind) for kind in ("GIF", "BMP", "TIFF", "PPM", "TGA", "WEBP", "JPEG2000")),
        _encoded("TIFF", compression="tiff_lzw"),
        _encoded("TGA", rle=True),
        _encoded("WEBP", "RGBA", lossless=True, exif=exif),
    ]


def _png_seeds(_: Path) -> Sequence[bytes]:
    return [
        _encoded("PNG", icc_profile=_profiles()[1]),
        _encoded("PNG", "RGBA"),
        _encoded("PNG", "LA"),
        _encoded("PNG", "P"),
    ]


def _image(folder: Path, data: bytes) -> object:
    file = io.BytesIO(data)
    size = image.size_of(file)
    file.seek(0)
    decoded = image.decode(file, max_pixels=1_000_000)
    assert decoded.mode == "RGB"
    return size, image.Fitting(8).apply(decoded)


def _icc(folder: Path, data: bytes) -> object:
    colour._transform.cache_clear()
    for mode in ("RGB", "L", "CMYK"):
        colour.to_rgb(Image.new(mode, (2, 2), 9), data)
    return None


_zips, _tars = of_members(unzip, zip_again, mutate_text), of_members(untar, tar_again, mutate_text)

_files = (archives, files, layout, listing, label_file)

_csv_tokens = (
    b",",
    b";",
    b"\t",
    b'"',
    b'""',
    b"\r\n",
    b"file_name",
    b"label",
    b"id",
    b"class",
    b"a1",
    b"7f.png",
    b"\xff",
    b"\0",
)

READERS = (
    Reader(
        "labels.csv",
        fixed(
            "file_name,label\na/img0.png,cat\nimg1.png,dog\n",
            "id;breed\na1;pug\n7f;box\n",
            'f\tlabel\n"b2.png"\t"x ""y"\n',
        ),
        _labels(".csv"),
        (DataError,),
        (labels,),
        mutate_text,
        _csv_tokens,
        share=2,
    ),
    Reader(
        "labels.json",
        lambda _: [content(STYLEGAN["dataset.json"]), b'{"labels": [["7f.png", 3]]}'],
        _labels(".json"),
        (DataError,),
        (labels._stylegan, labels._text, labels.labels_of),
        mutate_json,
    ),
    Reader(
        "labels.jsonl",
        fixed('{"file_name": "a1.png", "label": 3}\n{"file_name": "7f", "label": "x"}\n'),
        _labels(".jsonl"),
        (DataError,),
        (labels._json_lines, labels._columns),
        mutate_lines,
        (b"file_name", b"label"),
        share=1,
    ),
    Reader(
        "zip",
        _folder_seeds,
        _archive,
        (DataError,),
        _files,
        _zips,
        (b"PK\x01\x02", b"PK\x05\x06", b"../", b"\\", b".png", b"dataset.json"),
        share=0.4,
    ),
    Reader(
        "tar",
        _tar_seeds,
        _archive,
        (DataError,),
        _files,
        _tars,
        (b"ustar\0", b"././@LongLink", b"../", b"77777777777", b".cls"),
        share=0.4,
    ),
    Reader(
        "png",
        _png_seeds,
        _image,
        (BadImageError,),
        (image, colour),
        of_members(unpack_png, png_again, mutate_bytes),
        (b"IDAT", b"iCCP", b"acTL", b"fdAT", b"eXIf", b"tRNS"),
        share=0.5,
    ),
    Reader("image", _image_seeds, _image, (BadImageError,), (image, colour), share=0.5),
    Reader(
        "icc",
        lambda _: _profiles(),
        _icc,
        (),
        (colour,),
        tokens=(b"acsp", b"mft1", b"mft2", b"mAB ", b"curv", b"para", b"RGB ", b"GRAY", b"CMYK"),
        share=0.3,
    ),
)

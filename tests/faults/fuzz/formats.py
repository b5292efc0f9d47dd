"""Damage that keeps a container whole: its members, header and lengths are changed and packed again with right sums."""

import gzip
import io
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence

from tests.faults.fuzz.mutate import Mutator, mutate_bytes, mutate_json

Members = list[tuple[str, bytes]]


def of_members(
    unpack: Callable[[bytes], Members], pack: Callable[[random.Random, Members], bytes], inner: Mutator
) -> Mutator:
    """Return what changes the members of a container: their content, names, number and order; sometimes its bytes."""

    def mutate(rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
        if rng.random() < 0.3:
            return mutate_bytes(rng, seeds, tokens)
        members = unpack(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            if not members:
                break
            at, kind = rng.randrange(len(members)), rng.randrange(8)
            name, content = members[at]
            if kind == 0:
                del members[at]
            elif kind == 1:
                members.insert(rng.randrange(len(members) + 1), members[at])
            elif kind == 2:
                members[at] = (
                    mutate_bytes(rng, [name.encode("utf-8", "replace")], tokens).decode("latin-1")[:300],
                    content,
                )
            elif kind == 3:
                members[at] = (name, rng.choice(members)[1])
            else:
                members[at] = (name, inner(rng, [content], tokens))
        return pack(rng, members)

    return mutate


def unzip(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def zip_again(rng: random.Random, members: Members) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in members:
            member = zipfile.ZipInfo(name.split("\0")[0] or "x")
            member.create_system = rng.choice((0, 3))
            member.external_attr = rng.choice((0, 0o100644, 0o120777, 0o040755)) << 16
            member.compress_type = archive.compression
            _quietly(archive.writestr, member, content)
    return packed.getvalue()


def untar(data: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive if member.isreg()]


def tar_again(rng: random.Random, members: Members) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name.replace("\0", "") or "x")
            member.type = rng.choice((tarfile.REGTYPE,) * 6 + (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, b"S"))
            member.linkname = rng.choice(members)[0].replace("\0", "")
            member.size = len(content) if member.type == tarfile.REGTYPE else 0
            _quietly(archive.addfile, member, io.BytesIO(content))
    whole = packed.getvalue()
    return gzip.compress(whole, 1) if rng.random() < 0.4 else whole


def _quietly(add: Callable[..., object], *arguments: object) -> None:
    """Add a member, unless its name is one that the writer refuses."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        try:
            add(*arguments)
        except (ValueError, UnicodeError, struct.error):
            return


def unpack_safetensors(data: bytes) -> Members:
    length = int.from_bytes(data[:8], "little")
    return [("header", data[8 : 8 + length]), ("values", data[8 + length :])]


def mutate_safetensors(rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """Change the header as the JSON that it is, its length kept right, or the values, or bytes."""
    if rng.random() < 0.25:
        return mutate_bytes(rng, seeds, tokens)
    (_, header), (_, values) = unpack_safetensors(rng.choice(seeds))
    if rng.random() < 0.6:
        header = mutate_json(rng, [header], tokens)
    else:
        values = mutate_bytes(rng, [values], (struct.pack("<f", float("nan")), struct.pack("<f", -1), b"\0\0\x80\x7f"))
        values = values.ljust(len(values), b"\0")
    return len(header).to_bytes(8, "little") + header + values


def unpack_png(data: bytes) -> Members:
    chunks, at = [], 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunks.append((kind.decode("latin-1"), data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_again(rng: random.Random, members: Members) -> bytes:
    chunks = [b"\x89PNG\r\n\x1a\n"]
    for name, content in members:
        kind = name.encode("latin-1", "replace")[:4].ljust(4)
        chunks += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", zlib.crc32(kind + content))]
    return b"".join(chunks)


def compressed(inner: Mutator) -> Mutator:
    """Return what changes the content of a gzip; sometimes the bytes around it."""

    def mutate(rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
        if rng.random() < 0.3:
            return mutate_bytes(rng, seeds, tokens)
        return gzip.compress(inner(rng, [gzip.decompress(rng.choice(seeds))], tokens), 1)

    return mutate

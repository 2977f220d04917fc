"""Hostile TIFFs of more than three hundred kinds, each wrong in one way: the same ones every time.

All begin as a small picture of three bands with a place on the ground; then one tag, the header or the
structure is made to lie.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SIDE = 64
ASCII, SHORT, LONG, DOUBLE = 2, 3, 4, 12
_FORMATS = {1: "B", ASCII: "B", SHORT: "H", LONG: "I", 11: "f", DOUBLE: "d", 16: "Q"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_PIXELS = bytes((row * 3 + col) % 256 for row in range(SIDE) for col in range(SIDE * 3))


@dataclass
class Tiff:
    """A classic TIFF to be spoiled: entries as (tag, type, count, values or raw bytes)."""

    entries: dict[int, tuple[int, int, Any]] = field(default_factory=dict)
    pixels: bytes = _PIXELS
    order: str = "<"
    more: list[tuple[int, int, int, Any]] = field(default_factory=list)  # doubled or out of order
    next: int | None = None  # offset of the next directory; None: none

    def set(self, tag: int, kind: int, *values: Any, count: int | None = None) -> Tiff:
        """Give a tag other values, or a count that is not theirs."""
        self.entries[tag] = (kind, len(values) if count is None else count, values)
        return self

    def text(self, tag: int, text: bytes) -> Tiff:
        """Give a tag a text."""
        self.entries[tag] = (ASCII, len(text) + 1, text + b"\0")
        return self

    def without(self, tag: int) -> Tiff:
        """Leave a tag out."""
        del self.entries[tag]
        return self

    def bytes(self) -> bytes:
        """Return the file: header, pixels, one directory, what does not fit into it."""
        entries = [(tag, *self.entries[tag]) for tag in sorted(self.entries)] + self.more
        at = 8 + len(self.pixels)
        far = at + 2 + 12 * len(entries) + 4
        directory, beyond = b"", b""
        for tag, kind, count, values in entries:
            raw = values if isinstance(values, bytes) else self._pack(kind, values)
            if isinstance(values, bytes) or len(raw) > 4:
                value = struct.pack(self.order + "I", far + len(beyond))
                beyond += raw
            else:
                value = raw.ljust(4, b"\0")
            directory += struct.pack(self.order + "HHI", tag, kind, count) + value
        mark = b"II" if self.order == "<" else b"MM"
        header = mark + struct.pack(self.order + "HI", 42, at)
        count_of = struct.pack(self.order + "H", len(entries) % 65536)
        following = struct.pack(self.order + "I", at if self.next == -1 else self.next or 0)
        return header + self.pixels + count_of + directory + following + beyond

    def _pack(self, kind: int, values: Any) -> bytes:
        code = _FORMATS.get(kind, "I")
        return b"".join(struct.pack(self.order + code, value) for value in values)


def plain(order: str = "<") -> Tiff:
    """Return an honest picture: 64 x 64 pixels of 1 m in UTM 32 north."""
    tiff = Tiff(order=order)
    tiff.set(256, SHORT, SIDE).set(257, SHORT, SIDE).set(258, SHORT, 8, 8, 8).set(259, SHORT, 1)
    tiff.set(262, SHORT, 2).set(273, LONG, 8).set(277, SHORT, 3).set(278, SHORT, SIDE)
    tiff.set(279, LONG, len(_PIXELS)).set(284, SHORT, 1).set(339, SHORT, 1, 1, 1)
    tiff.set(33550, DOUBLE, 1.0, 1.0, 0.0).set(33922, DOUBLE, 0.0, 0.0, 0.0, 500000.0, 5200000.0, 0.0)
    tiff.set(34735, SHORT, 1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632)
    return tiff


def hostile_tiffs() -> Iterator[tuple[str, bytes]]:
    """Yield every kind as (name, bytes)."""
    yield from _headers()
    yield from _wrong_values()
    yield from _structures()
    yield from _georeferences()
    yield from _metadata()
    yield from _compressions()


def _headers() -> Iterator[tuple[str, bytes]]:
    good = plain().bytes()
    end = len(good)
    for name, offset in {
        "zero": 0, "header": 4, "odd": 9, "last byte": end - 1, "end": end, "beyond": end + 1000,
        "largest": 2**32 - 1, "pixels": 100,
    }.items():  # fmt: skip
        yield f"directory at {name}", good[:4] + struct.pack("<I", offset) + good[8:]
    for magic in (b"II\x2b\0", b"MM\0\x2a", b"II\0\x2a", b"IM\x2a\0", b"II\x2c\0", b"\0\0\x2a\0"):
        yield f"begins with {magic!r}", magic + good[4:]
    for size in (0, 4, 16, 65535):
        big = b"II" + struct.pack("<HHHQ", 43, size, 0, 16) + struct.pack("<Q", 1)
        yield f"offsets of {size} bytes", big + struct.pack("<HHQQ", 256, 3, 1, 64) + bytes(8)
    for count in (0, 2**16, 2**63, 2**64 - 1):
        big = b"II" + struct.pack("<HHHQ", 43, 8, 0, 16) + struct.pack("<Q", count)
        yield f"big directory of {count} tags", big + struct.pack("<HHQQ", 256, 3, 1, 64) + bytes(8)
    for length in (4, 8, 100, end // 2, end - 1):
        yield f"cut to {length} bytes", good[:length]


_TAGS = (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323, 338, 339, 33550)


def _wrong_values() -> Iterator[tuple[str, bytes]]:
    """Every tag that says how the picture is stored, with values that it cannot have."""
    for tag in _TAGS:
        for value in (0, 1, 7, 65535, 2**31 - 1, 2**32 - 1):
            yield f"tag {tag} is {value}", plain().set(tag, LONG, value).bytes()
        for count in (0, 2, 2**16, 2**32 - 1):
            yield f"tag {tag} has {count} values", plain().set(tag, LONG, 64, count=count).bytes()
        yield f"tag {tag} is a text", plain().text(tag, b"sixty-four pixels").bytes()
        yield f"tag {tag} is no number", plain().set(tag, DOUBLE, float("nan")).bytes()
        yield f"tag {tag} is of no type", plain().set(tag, 200, 64).bytes()


def _structures() -> Iterator[tuple[str, bytes]]:
    for tag in (256, 257, 258, 262, 273, 277, 278, 279, 34735):
        yield f"no tag {tag}", plain().without(tag).bytes()
    looped = plain()
    looped.next = -1
    yield "a directory that follows itself", looped.bytes()
    beyond = plain()
    beyond.next = 2**32 - 2
    yield "a next directory beyond the end", beyond.bytes()
    doubled = plain()
    doubled.more = [(256, LONG, 1, (2**31 - 1,)), (273, LONG, 1, (2**31 - 1,))]
    yield "tags twice", doubled.bytes()
    many = plain()
    many.more = [(40000 + number % 20000, LONG, 1, (number,)) for number in range(60000)]
    yield "sixty thousand tags", many.bytes()
    yield "a directory below that is itself", plain().set(330, LONG, 8 + len(_PIXELS)).bytes()
    yield "directories below, beyond the end", plain().set(330, LONG, *[2**32 - 2] * 500).bytes()
    chained = plain()
    end = chained.next = len(chained.bytes())
    links = [struct.pack("<HHHIII", 1, 256, 4, 1, 64, end + 18 * (number + 1)) for number in range(2000)]
    yield "two thousand directories", chained.bytes() + b"".join(links)
    strips = plain().set(278, SHORT, 1)
    yield "strips over each other", strips.set(273, LONG, *[8] * SIDE).set(279, LONG, *[192] * SIDE).bytes()
    yield "strips of the whole file", strips.set(279, LONG, *[12288] * SIDE).bytes()
    wide = plain().set(256, LONG, 1_000_000_000).set(257, LONG, 1).set(278, LONG, 1)
    yield "a thousand million columns", wide.bytes()
    tiles = plain().without(273).without(279).without(278)
    tiles.set(322, LONG, 16).set(323, LONG, 16)
    yield "tiles without offsets", tiles.bytes()
    yield "sparse tiles", tiles.set(324, LONG, *[0] * 16).set(325, LONG, *[0] * 16).bytes()
    huge = plain().without(273).without(279).without(278).set(256, LONG, 10**6).set(257, LONG, 10**6)
    huge.set(322, LONG, 1 << 20).set(323, LONG, 1 << 20).set(324, LONG, 0).set(325, LONG, 0)
    yield "one tile of terabytes", huge.bytes()
    bands = plain().set(277, SHORT, 60000).set(258, SHORT, 8).set(339, SHORT, 1)
    yield "sixty thousand bands", bands.bytes()


def _georeferences() -> Iterator[tuple[str, bytes]]:
    nan, infinite = float("nan"), float("inf")
    for value in (0.0, -1.0, nan, infinite, 1e308, 1e150, 1e20, 5e-324):
        yield f"pixels of {value} m", plain().set(33550, DOUBLE, value, value, 0.0).bytes()
        tied = plain().set(33922, DOUBLE, 0.0, 0.0, 0.0, value, value, 0.0)
        yield f"its corner at {value}", tied.bytes()
        affine = [value] * 16
        yield f"a matrix of {value}", plain().without(33550).set(34264, DOUBLE, *affine).bytes()
    yield "a matrix of four numbers", plain().without(33550).set(34264, DOUBLE, 1.0, 0.0, 0.0, 1.0).bytes()
    many = [float(number) for number in range(6 * 5000)]
    yield "five thousand tie points", plain().set(33922, DOUBLE, *many).bytes()
    for code in (0, 1, 4978, 5773, 32767, 65535):
        keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, code)
        yield f"the CRS {code}", plain().set(34735, SHORT, *keys).bytes()
    for keys in ((), (9, 9, 9, 9), (1, 1, 0, 60000, 1024, 0, 1, 1), (1, 1, 0, 1, 3072, 34737, 60000, 60000)):
        yield f"geographic keys {keys}", plain().set(34735, SHORT, *keys).bytes()
    for text in (b"/etc/passwd", b"http://127.0.0.1/crs", b"+init=/etc/passwd +type=crs", b"\xff\xfe" * 200):
        keys = (1, 1, 0, 3, 1024, 0, 1, 32767, 1026, 34737, len(text), 0, 3072, 0, 1, 32767)
        yield f"a CRS called {text[:20]!r}", plain().set(34735, SHORT, *keys).text(34737, text).bytes()
    yield "polynomials of no number", plain().set(50844, DOUBLE, *[nan] * 92).bytes()


def _metadata() -> Iterator[tuple[str, bytes]]:
    for text in (b"", b"abc", b"nan", b"inf", b"-inf", b"1e999", b"256", b"-1", b"9" * 5000, b"\xff\xff"):
        yield f"no data is {text[:8]!r}", plain().text(42113, text).bytes()
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
    ) + b"]><GDALMetadata><Item name='x'>&j;</Item></GDALMetadata>"  # fmt: skip
    item = b"<Item name='n'>v</Item>"
    for name, xml in {
        "entities": bomb,
        "an external entity": b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
        b"<GDALMetadata><Item name='x'>&a;</Item></GDALMetadata>",
        "ten thousand levels": b"<GDALMetadata>" * 10_000,
        "half an element": b"<GDALMetadata><Item name='x",
        "no XML": bytes(range(1, 256)) * 20,
        "twenty thousand items": b"<GDALMetadata>" + item * 20_000 + b"</GDALMetadata>",
        "forty thousand short items": b"<GDALMetadata>"
        + b"".join(b"<Item name='%x'/>" % number for number in range(40_000))
        + b"</GDALMetadata>",
        "a hundred thousand names": b"<GDALMetadata>"
        + b"".join(b"<Item name='n%d'>v</Item>" % number for number in range(100_000))
        + b"</GDALMetadata>",
        "a scale of zero": b"<GDALMetadata><Item name='SCALE' sample='0' role='scale'>0</Item>"
        b"</GDALMetadata>",
        "a scale of no number": b"<GDALMetadata><Item name='SCALE' sample='0' role='scale'>nan</Item>"
        b"</GDALMetadata>",
        "items of a band that is not there": b"<GDALMetadata><Item name='x' sample='99'>1</Item>"
        b"</GDALMetadata>",
        "other domains": b"<GDALMetadata><Item name='SRC_DATASET' domain='DERIVED_SUBDATASETS'>/etc/passwd"
        b"</Item><Item name='x' domain='xml:VRT'>1</Item></GDALMetadata>",
    }.items():
        yield f"metadata of {name}", plain().text(42112, xml).bytes()
    late = plain()
    late.more = [(number, LONG, 1, (number,)) for number in range(40_000, 42_000)]
    xml = b"<GDALMetadata>" + b"".join(b"<Item name='%x'/>" % number for number in range(40_000))
    yield "metadata behind many tags", late.text(42112, xml).bytes()
    for tag in (270, 305, 306, 315, 700):
        yield f"tag {tag} of a megabyte", plain().text(tag, b"x" * 1_000_000).bytes()
    palette = plain().set(262, SHORT, 3).set(277, SHORT, 1).set(258, SHORT, 8).set(339, SHORT, 1)
    for count in (0, 3, 767, 769):
        colours = palette.set(320, SHORT, *[65535] * count, count=768 if count == 3 else count)
        yield f"a palette of {count} numbers", colours.bytes()


def _compressions() -> Iterator[tuple[str, bytes]]:
    for code in (2, 3, 4, 5, 6, 7, 8, 32773, 34661, 34712, 34887, 34925, 50000, 50001, 50002, 60000):
        yield f"compression {code} of rubbish", plain().set(259, SHORT, code).bytes()
    for name, raw in {"too much": bytes(50_000_000), "too little": b"x", "nothing": b""}.items():
        packed = zlib.compress(raw, 9)
        tiff = plain().set(259, SHORT, 8).set(279, LONG, len(packed))
        tiff.pixels = packed.ljust(len(_PIXELS), b"\0")
        yield f"deflate of {name}", tiff.bytes()
    for predictor in (2, 3, 9):
        tiff = plain().set(259, SHORT, 8).set(317, SHORT, predictor)
        tiff.pixels = zlib.compress(_PIXELS).ljust(len(_PIXELS), b"\0")
        yield f"predictor {predictor}", tiff.bytes()
    for bits in (1, 3, 12, 24, 64, 128):
        yield f"{bits} bits", plain().set(258, SHORT, bits, bits, bits).bytes()
        yield f"{bits} bits of floats", plain().set(258, SHORT, *[bits] * 3).set(339, SHORT, 3, 3, 3).bytes()
    for kind in (4, 5, 6, 9):
        yield f"sample format {kind}", plain().set(339, SHORT, kind, kind, kind).bytes()
    for photometric in (0, 5, 6, 8, 10, 32803, 34892):
        yield f"photometric {photometric}", plain().set(262, SHORT, photometric).bytes()
    yield "bits that differ", plain().set(258, SHORT, 8, 16, 32).bytes()
    yield "big-endian", plain(">").bytes()

"""The statement that a colour is computed: readable by others, and gone without a trace."""

from __future__ import annotations

import struct
from io import BytesIO
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tintype.picture.metadata import IPTC_EXTENSION, NAMESPACE, RDF, SOURCE_TYPE, orientation_of, stamp, unstamp

STORED = {"bits": "1", "photometric": "miniswhite", "": "é=&<\0\ud800 ;"}
BODY = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="uuid:é" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/jpeg">{}'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    + BODY.format("")
    + "\n"
    + (" " * 99 + "\n") * 20
    + '<?xpacket end="w"?>'
)
OWN_TYPE = '<I:DigitalSourceType xmlns:I="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">{}</I:DigitalSourceType>'
CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"

PACKETS = {
    "usual": PACKET.encode(),
    "with its own source type": BODY.format(OWN_TYPE.format(CAPTURE)).encode(),
    "empty source type": BODY.format(OWN_TYPE.format("")).encode(),
    "NUL at the end": PACKET.encode() + b"\0",
    "UTF-16 LE": PACKET.encode("utf-16-le"),
    "UTF-16 BE": PACKET.encode("utf-16-be"),
    "UTF-16 with a mark": BODY.format("\U0001f600").encode("utf-16"),
    "UTF-16 with NUL at the end": (PACKET + "\0").encode("utf-16"),
    "another prefix": BODY.format("").replace("rdf:", "r:").replace("xmlns:rdf", "xmlns:r").encode(),
}
BROKEN = {
    "empty": b"",
    "noise": bytes(range(256)),
    "cut off": PACKET.encode()[:300],
    "closing tag in a comment": b"<a><!-- </rdf:RDF> --></a>",
    "not well formed": b"<a></rdf:RDF>",
    "bomb": b'<!DOCTYPE a [<!ENTITY b "b">]>' + BODY.format("&b;").encode(),
    "odd UTF-16": PACKET.encode("utf-16-le") + b"\0",
    "UTF-32": PACKET.encode("utf-32-le"),
    "Latin-1": BODY.format("é").encode("latin-1"),
}
#: How packets in UTF-16 begin.
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}


def statement(packet: bytes) -> tuple[list[str], list[str]]:
    """All source types and all methods that a strict XML reader finds."""
    encoding = next((name for mark, name in MARKS.items() if packet.startswith(mark)), "utf-8")
    root = ElementTree.fromstring(packet.decode(encoding).rstrip("\0 "))  # padding, which XML knows nothing of
    types, methods = [], []
    for item in root.iter():
        types += [item.text or ""] if item.tag == f"{{{IPTC_EXTENSION}}}DigitalSourceType" else []
        types += [v for k, v in item.attrib.items() if k == f"{{{IPTC_EXTENSION}}}DigitalSourceType"]
        methods += [v for k, v in item.attrib.items() if k == f"{{{NAMESPACE}}}Method"]
        if f"{{{NAMESPACE}}}Method" in item.attrib:
            assert item.tag == f"{{{RDF}}}Description"
    return types, methods


@pytest.mark.parametrize("name", PACKETS)
def test_statement_is_added_and_the_rest_stays_byte_for_byte(name: str) -> None:
    packet = PACKETS[name]
    stamped = stamp(packet, "tint <é>", "ab" * 32, STORED)
    assert statement(stamped) == ([SOURCE_TYPE], ["tint <é>"])
    assert unstamp(stamped) == (packet, STORED)
    if "source type" not in name:
        cut = next(i for i in range(len(packet)) if packet[i] != stamped[i])
        assert stamped.endswith(packet[cut:])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_packet_is_kept_inside_a_sound_one(name: str) -> None:
    stamped = stamp(BROKEN[name], "tint", "", {})
    assert statement(stamped) == ([SOURCE_TYPE], ["tint"])
    assert unstamp(stamped) == (BROKEN[name], {})


def test_no_packet() -> None:
    assert unstamp(stamp(None, "wash", "", STORED)) == (None, STORED)
    assert unstamp(None) == (None, {})
    assert unstamp(PACKET.encode()) == (PACKET.encode(), {})


@pytest.mark.parametrize("packet", [None, *PACKETS.values(), *BROKEN.values()])
def test_coloured_twice(packet: bytes | None) -> None:
    once = stamp(packet, "tint", "", {"a": "1"})
    twice = stamp(once, "wash", "", {"a": "2"}, limit=1)
    assert statement(twice) == ([SOURCE_TYPE], ["wash"])
    assert unstamp(twice) == (once, {"a": "2"})


def test_padding_gives_way_to_a_limit_and_comes_back() -> None:
    for packet in (PACKET.encode(), PACKET.encode("utf-16-le")):
        stamped = stamp(packet, "tint", "", {}, limit=len(packet))
        assert len(stamped) < len(packet)
        assert unstamp(stamped) == (packet, {})


fragments = st.sampled_from(
    ["<rdf:RDF>", "</rdf:RDF>", "</x:RDF >", " DigitalSourceType", OWN_TYPE.format(CAPTURE), "<!--", "-->", "<![CDATA[", "]]>", "<a>", "</a>",
     ' I:DigitalSourceType="x"', "<?xpacket end", "?>", "  \n" * 99, stamp(None, "m", "s", {"k": "v"}).decode(), BODY.format(""), PACKET, "\0", "é"]
)  # fmt: skip


@given(
    st.lists(fragments | st.text(max_size=5), max_size=8),
    st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32"]),
    st.none() | st.just(99),
)
def test_unstamp_is_the_inverse_for_any_packet(pieces: list[str], encoding: str, limit: int | None) -> None:
    packet = "".join(pieces).encode(encoding, "surrogatepass")
    stamped = stamp(packet, "tint", "00", {"bits": "8"}, limit)
    assert statement(stamped) == ([SOURCE_TYPE], ["tint"])
    assert unstamp(stamped) == (packet, {"bits": "8"})


@given(st.binary(max_size=200) | st.none(), st.dictionaries(st.text(), st.text()), st.text(), st.text())
def test_any_bytes_any_words(packet: bytes | None, stored: dict[str, str], method: str, sha256: str) -> None:
    assert unstamp(stamp(packet, method, sha256, stored)) == (packet, stored)


@given(st.data())
def test_a_statement_edited_by_others_never_raises(data: st.DataObject) -> None:
    stamped = bytearray(
        stamp(stamp(data.draw(st.sampled_from(list(PACKETS.values()))), "a", "b", {"c": "d"}), "tint", "", {}, limit=1)
    )
    for _ in range(data.draw(st.integers(1, 4))):
        stamped[data.draw(st.integers(0, len(stamped) - 1))] = data.draw(st.integers(0, 255))
    unstamp(bytes(stamped))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_as_pillow_writes_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "described"
    assert orientation_of(exif.tobytes()) == orientation
    out = BytesIO()
    Image.new("L", (8, 8)).save(out, "JPEG", exif=exif)
    assert orientation_of(Image.open(out).info["exif"]) == orientation
    little = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    assert orientation_of(little) == orientation


@given(st.binary(max_size=60))
def test_broken_exif_is_upright(noise: bytes) -> None:
    assert orientation_of(None) == orientation_of(b"") == 1
    for start in (
        b"",
        b"II*\0",
        b"MM\0*",
        b"II*\0\x08\0\0\0\xff\xff",
        b"MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01",
    ):
        assert 1 <= orientation_of(start + noise) <= 8

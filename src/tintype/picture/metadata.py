"""EXIF orientation, and the XMP statement that a picture's colour is computed: put in by text, taken out to the last byte.

An XMP packet (ISO 16684-1) is not parsed and written anew: one `rdf:Description` of ours goes before its last
`</rdf:RDF>`, and the rest stays as it was. All that is needed to take it out again is in its attributes:

- `tintype:Packet`    "new" where there was no packet, "kept:BASE64" where one was too broken to hold a statement
- `tintype:Before`    an earlier statement of ours, which this one replaces (properties may occur but once)
- `tintype:Replaced`  the packet's own DigitalSourceType, whose value gave way to ours: offset:BASE64 of what stood there
- `tintype:Padding`   white space taken out at the packet's end to keep it under a limit
- `tintype:Stored`    how the file stored its pixels (Page.stored)
"""

from __future__ import annotations

import re
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from urllib.parse import quote, unquote
from xml.parsers import expat

#: "Composite with trained algorithmic media": a real photograph with computed parts (IPTC's vocabulary).
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
NAMESPACE = "https://tintype.invalid/ns/1.0/"

_HEAD = f'<rdf:Description xmlns:rdf="{RDF}" xmlns:tintype="{NAMESPACE}"'
_SHELL = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n<rdf:RDF xmlns:rdf="{RDF}">\n',
    '</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>',
)
_CLOSING = re.compile(r"</[A-Za-z_][\w.-]{0,60}:RDF\s{0,9}>")
_ABOUT = re.compile(r"""rdf:about\s{0,9}=\s{0,9}"([^"<>]{0,999})\"""")
# A property as an attribute, in either quotes; as an element with rdf:resource; as an element with text.
_OWN_TYPE = re.compile(
    r"""(?<=:DigitalSourceType)(?:\s{0,9}=\s{0,9}"([^"<>]{0,999})"|\s{0,9}=\s{0,9}'([^'<>]{0,999})'"""
    r"""|\s[^<>]{0,500}?rdf:resource\s{0,9}=\s{0,9}"([^"<>]{0,999})"|(?:\s[^<>]{0,500})?(?<!/)>([^<>]{0,999})</)"""
)
_MOST_PADDING = 1 << 20


def orientation_of(exif: bytes | None) -> int:
    """Orientation, 1 .. 8, of an EXIF block, with or without its leading "Exif\\0\\0"; 1 where missing or broken."""
    block = (exif or b"").removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, _ = struct.unpack_from(order + "HHI", block, entry)
            if tag == 0x0112:
                (value,) = struct.unpack_from(order + ("I" if kind == 4 else "H"), block, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def stamp(xmp: bytes | None, method: str, sha256: str, stored: Mapping[str, str], limit: int | None = None) -> bytes:
    """The packet with our statement in it, or a packet of its own where there was none or a broken one.

    `method` and `sha256` say who computed the colour; `stored` comes back from `unstamp`. Above `limit` bytes the
    packet's padding is taken out; the result may still be longer: the caller's to see.
    """
    made = {"Method": method, "WeightsSHA256": sha256}
    made |= {"Stored": " ".join(f"{_coded(k)}={_coded(v)}" for k, v in stored.items())} if stored else {}
    if xmp is None:
        return _fresh(made, "new")
    stamped = _inserted(xmp, made, padded=True)
    if stamped is not None and limit is not None and len(stamped) > limit:
        stamped = _inserted(xmp, made, padded=False)
    return stamped or _fresh(made, "kept:" + b64encode(xmp).decode())


def unstamp(xmp: bytes | None) -> tuple[bytes | None, dict[str, str]]:
    """The inverse of `stamp`: (the packet that was there or None, `stored`); a packet without a statement comes back as it is."""
    found = _statement(xmp) if xmp is not None else None
    if xmp is None or found is None:
        return xmp, {}
    text, encoding, start, end = found
    says = dict(re.findall(r'tintype:(\w+)="([^"]*)"', text[start:end]))
    try:
        stored = dict(_pair(item) for item in says.get("Stored", "").split())
        packet = says.get("Packet", "")
        if packet:
            return (b64decode(packet[5:], validate=True) if packet.startswith("kept:") else None), stored
        before, after = text[:start] + _unpacked(says.get("Before", "")), text[end:]
        for item in reversed(says.get("Replaced", "").split()):
            at, old = item.split(":")
            if text[int(at) : int(at) + len(SOURCE_TYPE)] == SOURCE_TYPE:
                before = before[: int(at)] + _unpacked(old) + before[int(at) + len(SOURCE_TYPE) :]
        tail = _trailer(after)
        after = after[:tail] + _unpacked(says.get("Padding", "")) + after[tail:]
        return (before + after).encode(encoding, "surrogatepass"), stored
    except (ValueError, zlib.error):  # edited by another program: nothing that can be trusted
        return xmp, {}


def _inserted(xmp: bytes, made: Mapping[str, str], padded: bool) -> bytes | None:
    """`xmp` with the statement before its last closing tag, or None where that would not read as XMP."""
    decoded = _decoded(xmp)
    if decoded is None:
        return None
    text, encoding = decoded
    place = _last_closing(text)
    if place is None:
        return None
    says = dict(made)
    found = _statement(xmp)
    start = found[2] if found else place
    if found:
        says["Before"] = _packed(text[start:place])
    head, replaced = _with_our_type(text[:start])
    if replaced:
        says["Replaced"] = " ".join(f"{at}:{_packed(old)}" for at, old in replaced)
    tail = text[place:]
    if not padded:
        last = _trailer(tail)
        bare = tail[:last].rstrip(" \t\r\n")
        if len(tail[:last]) - len(bare) > 200:
            says["Padding"] = _packed(tail[len(bare) : last])
            tail = bare + tail[last:]
    about = _ABOUT.search(head)
    block = _block(says, about[1] if about else "", own_type=not replaced)
    return _if_sound(head + block + tail, encoding)


def _fresh(made: Mapping[str, str], packet: str) -> bytes:
    """A packet of our own."""
    return (_SHELL[0] + _block({"Packet": packet, **made}, "", own_type=True) + _SHELL[1]).encode()


def _block(says: Mapping[str, str], about: str, own_type: bool) -> str:
    """One empty element whose attributes are the statement; ASCII but for `about`, which is the packet's own text."""
    source = (
        f' xmlns:Iptc4xmpExt="{IPTC_EXTENSION}"\n  Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"' if own_type else ""
    )
    body = "".join(f'\n  tintype:{name}="{_escaped(value)}"' for name, value in says.items())
    return f'{_HEAD} rdf:about="{about}"{source}{body}/>\n'


def _statement(xmp: bytes) -> tuple[str, str, int, int] | None:
    """The packet's text and encoding and where our element starts and ends in it: right before the last closing tag."""
    decoded = _decoded(xmp)
    place = _last_closing(decoded[0]) if decoded else None
    if decoded is None or place is None or not decoded[0].endswith("/>\n", 0, place):
        return None
    start = decoded[0].rfind("<", 0, place)
    return (*decoded, start, place) if decoded[0].startswith(_HEAD, start) else None


def _with_our_type(text: str) -> tuple[str, list[tuple[int, str]]]:
    """Replace values of the packet's own DigitalSourceType, as a second one would make the packet invalid: (text, [(offset, old)])."""
    pieces, replaced, done, length = [], [], 0, 0
    for match in _OWN_TYPE.finditer(text):
        group = next(k for k in range(1, 5) if match[k] is not None)
        pieces.append(text[done : match.start(group)])
        length += len(pieces[-1])
        replaced.append((length, match[group]))
        pieces.append(SOURCE_TYPE)
        length += len(SOURCE_TYPE)
        done = match.end(group)
    return "".join(pieces) + text[done:], replaced


def _decoded(xmp: bytes) -> tuple[str, str] | None:
    """(text, encoding), such that encoding gives the very bytes back. UTF-8 is read as Latin-1: all that is looked for is ASCII."""
    encoding = "latin-1"
    for start, name in (
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
        (b"<\0", "utf-16-le"),
        (b"\0<", "utf-16-be"),
    ):
        if xmp.startswith(start):
            encoding = name
            break
    try:
        return xmp.decode(encoding, "surrogatepass"), encoding
    except UnicodeDecodeError:
        return None


def _last_closing(text: str) -> int | None:
    """Where the last `</rdf:RDF>`, of whatever prefix, starts."""
    end = len(text)
    while (end := text.rfind(":RDF", 0, end)) >= 0:
        start = text.rfind("</", max(0, end - 64), end)
        if start >= 0 and (match := _CLOSING.match(text, start)):
            return match.start()
    return None


def _trailer(tail: str) -> int:
    """Where `<?xpacket end` starts in the text after our statement; its length where there is none."""
    at = tail.rfind("<?xpacket end")
    return at if at >= 0 else len(tail)


def _if_sound(text: str, encoding: str) -> bytes | None:
    """The text encoded, if it is well-formed XML without a document type, our element a child of rdf:RDF and each property there once."""
    ours, types = 0, 0
    path: list[str] = []

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal ours, types
        if f"{NAMESPACE} Method" in attributes and path and path[-1] == f"{RDF} RDF":
            ours += 1
        types += name == f"{IPTC_EXTENSION} DigitalSourceType" or f"{IPTC_EXTENSION} DigitalSourceType" in attributes
        path.append(name)

    def doctype(*_: object) -> None:
        raise ValueError("a document type has no place in XMP")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text.rstrip("\0 \t\r\n").encode(encoding, "surrogatepass"), True)
        return text.encode(encoding, "surrogatepass") if ours == 1 and types == 1 else None
    except (expat.ExpatError, ValueError):
        return None


def _escaped(value: str) -> str:
    """As an attribute's value, in ASCII; what XML can't hold becomes "?"."""
    shown = "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else "?" for c in value)
    for char, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        shown = shown.replace(char, name)
    return shown.encode("ascii", "xmlcharrefreplace").decode()


def _packed(text: str) -> str:
    """Any text as base64; compressed, as padding is long and statements repeat."""
    return b64encode(zlib.compress(text.encode("utf-8", "surrogatepass"), 9)).decode()


def _unpacked(code: str) -> str:
    """The inverse; a bomb is cut off, which makes it an error."""
    if not code:
        return ""
    unpack = zlib.decompressobj()
    raw = unpack.decompress(b64decode(code, validate=True), _MOST_PADDING)
    if not unpack.eof:
        raise ValueError("too long")
    return raw.decode("utf-8", "surrogatepass")


def _coded(word: str) -> str:
    return quote(word, safe="", errors="surrogatepass")


def _pair(item: str) -> tuple[str, str]:
    key, value = item.split("=")
    return unquote(key, errors="surrogatepass"), unquote(value, errors="surrogatepass")

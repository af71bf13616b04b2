# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tells in a line what a picture file says of its own origin.

Read are the manifests of C2PA (Content Credentials), the IPTC digital source type in
XMP, what programs that generate pictures leave in texts of PNG and EXIF, and the
camera. All of it can be removed, and all but a signature can be forged: it is what a
file says, and its absence says nothing.

Signatures need the optional package c2pa-python. It is forbidden any network request,
and has no list of trusted parties, so that a signature proves that a file was not
changed after it was signed, never who signed it.

Texts from files are shown between quotes, in which control characters and those that
change the direction of writing are escaped, so that they cannot pass for our words.

References:
    C2PA 2.2 (c2pa.org); IPTC NewsCodes `digitalsourcetype` (cv.iptc.org); XMP part 1
    (Adobe); Exif 2.32 (CIPA DC-008).
"""

import html
import importlib.metadata
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from PIL.ExifTags import Base

from fakedet_jax.media import decode, exif, formats, heif, metadata
from fakedet_jax.runtime.text import joined, one_line

INSTALL = "install 'fakedet-jax[provenance]' to read it"

# Larger data are not read.
MAX_C2PA_BYTES = 16 * 2**20
MAX_XMP_BYTES = 2**20
# Characters of a text from a file, and how many things of a kind are told.
MAX_TEXT = 80
_MAX_THINGS = 3
# Of the description that c2pa gives of all manifests, in characters.
_MAX_JSON = 8 * 2**20


def describe(encoded: bytes) -> str:
    """Tells what a picture file says of its origin.

    Args:
        encoded: The bytes of a file.

    Returns:
        Phrases with semicolons between them, on one line without control characters.
        The last one is about the camera; others are left out where there is nothing to
        say. What is damaged or too large is a phrase too.

    Raises:
        ImageError: The bytes are no picture in a known format.
    """
    kind = formats.sniff_format(encoded)
    values, missing = exif.read_values(encoded, _NUMBERS)
    info, damage = _read_info(encoded, kind)
    packet = _xmp(encoded, kind, values, info)
    texts = list(_texts(info, values, packet))
    generators = list(dict.fromkeys(_generators(texts)))
    phrases = [
        _describe_c2pa(encoded, kind, values) or _elsewhere(packet),
        _about("IPTC", map(_nature, _sorted(_iptc_types(packet)))),
        _about("generator", generators),
        "" if generators else _about("software", _software(texts)),
        f"metadata: unreadable ({_clean(damage)})" if damage else "",
        f"camera: {_describe_camera(encoded, kind, values, missing)}",
    ]
    return joined(*phrases)


def c2pa_version() -> str | None:
    """The version of the package that reads C2PA data; None without the extra."""
    try:
        return importlib.metadata.version("c2pa-python")
    except importlib.metadata.PackageNotFoundError:
        return None


# What the source types of IPTC mean, the most telling first.
_NATURES = {
    "trainedAlgorithmicMedia": "made by AI",
    "compositeWithTrainedAlgorithmicMedia": "edited with AI",
    "compositeSynthetic": "composed with synthetic parts",
    "algorithmicMedia": "made by an algorithm",
    "algorithmicallyEnhanced": "enhanced by an algorithm",
    "digitalCreation": "drawn by a person",
    "humanEdits": "edited by a person",
    "computationalCapture": "taken by a camera",
    "digitalCapture": "taken by a camera",
}
_RANKS = {name: rank for rank, name in enumerate(_NATURES)}
_TYPE = re.compile(r"[A-Za-z]{1,60}")

_XMP_TAG, _C2PA_TAG = 700, 52545  # Of a TIFF.
_NUMBERS: tuple[int, ...] = (
    *(Base.Make, Base.Model, Base.Software, Base.ImageDescription, Base.UserComment),
    *(_XMP_TAG, _C2PA_TAG),
)
_EXIF_NAMES = {
    Base.Make: "EXIF Make",
    Base.Model: "EXIF Model",
    Base.Software: "EXIF Software",
    Base.ImageDescription: "EXIF ImageDescription",
    Base.UserComment: "EXIF UserComment",
}
_PNG_KEYWORDS = (
    *("parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata"),
    *("Software", "Source", "Description", "Comment"),
)
_XMP_NAMES = ("CreatorTool", "Credit")
_SOFTWARE = ("PNG Software", "EXIF Software", "XMP CreatorTool")

_MIME = {
    name: f"image/{name.lower()}"
    for name in ("JPEG", "PNG", "WebP", "TIFF", "GIF", "HEIC", "AVIF")
}
_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    # Identities of people are asked for elsewhere, too; no host may be asked.
    "core": {"allowed_network_hosts": []},
}
_ELSEWHERE = "C2PA: its data are elsewhere, and not fetched"
_UNTRUSTED = "signingCredential.untrusted"

# Names that programs and services write into the pictures that they generate.
_NAMES = re.compile(
    r"stable[ -]?diffusion|comfyui|automatic1111|midjourney|dall[-·. ]?e\b|novelai|"
    r"adobe firefly|invokeai|fooocus|dreamstudio|stylegan\d?|image creator|openai|"
    r"draw things|made with (?:google )?ai\b",
    re.IGNORECASE,
)
_MAX_SEARCHED = 2**20  # Characters of a text in which a name is searched for.


def _about(subject: str, things: Iterable[str]) -> str:
    """A phrase about the first of some different things; empty if there are none."""
    found = list(dict.fromkeys(things))
    more = ["…"] if len(found) > _MAX_THINGS else []
    told = ", ".join([*found[:_MAX_THINGS], *more])
    return f"{subject}: {told}" if told else ""


def _clean(text: object) -> str:
    r"""Makes a text from a file printable, short and one line.

    >>> _clean("a\u202eb\n\x00 c")
    'a\\u202eb \\x00 c'
    """
    # Escapes make a text longer, never shorter.
    words = " ".join(str(text)[: 2 * MAX_TEXT].split())
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in words
    )
    return shown if len(shown) <= MAX_TEXT else f"{shown[: MAX_TEXT - 1]}…"


def _quote(text: object) -> str:
    """Puts a text from a file between quotes, of which it cannot have any itself."""
    return '"' + _clean(text).replace('"', "'") + '"'


# Source types.


def _last_part(url: str) -> str:
    """The name of a source type, from its URL or any other notation."""
    return re.split(r"[/#:]", url[:1000].strip().rstrip("/"))[-1]


def _sorted(types: Iterable[str]) -> list[str]:
    return sorted(set(types), key=lambda name: (_RANKS.get(name, len(_RANKS)), name))


def _nature(name: str) -> str:
    shown = name if _TYPE.fullmatch(name) else _quote(name)
    return f"{_NATURES.get(name, 'source type')} ({shown})"


# C2PA.


def _describe_c2pa(encoded: bytes, kind: str, values: Mapping[int, Any]) -> str:
    size = metadata.c2pa_size(encoded, kind)
    if kind == "TIFF" and _C2PA_TAG in values:
        size = len(_to_bytes(values[_C2PA_TAG])) or 1
    if not size:
        return ""
    if size > MAX_C2PA_BYTES:
        limit = MAX_C2PA_BYTES // 2**20
        return f"C2PA: not read, its data are larger than {limit} MiB"
    try:
        import c2pa

        settings = c2pa.Settings.from_dict(_SETTINGS)
        with (
            c2pa.Context(settings) as context,
            c2pa.Reader(_MIME[kind], io.BytesIO(encoded), context=context) as reader,
        ):
            text = reader.json()
        if len(text) > _MAX_JSON:
            return "C2PA: not read, its manifests are too large"
        return f"C2PA: {_describe_store(json.loads(text))}"
    except ImportError:
        return f"has C2PA data ({INSTALL})"
    except Exception as error:
        # Errors of c2pa have many types, and any content of a manifest may be odd.
        reason = one_line(error)
        # A file may have a box without a manifest, and say that it is elsewhere.
        is_remote = reason.startswith("Remote:")
        return _ELSEWHERE if is_remote else f"C2PA: unreadable ({_clean(reason)})"


def _describe_store(store: Mapping[str, Any]) -> str:
    """Tells what all manifests of a file say, and whether that is valid.

    An edit has a manifest of its own, and what it was made of is in those before.
    """
    manifests = store["manifests"]
    active = manifests[store["active_manifest"]]
    own = _manifest_types(active)
    others = {
        name
        for manifest in manifests.values()
        if manifest is not active
        for name in _manifest_types(manifest)
    }
    told = [_nature(name) for name in _sorted(own)]
    told += [f"an ingredient {_nature(name)}" for name in _sorted(others - own)]
    more = ["…"] if len(told) > 2 * _MAX_THINGS else []
    codes = list(_failures(store))
    return ", ".join(
        [
            *told[: 2 * _MAX_THINGS],
            *more,
            _describe_signer(active, is_unknown=_UNTRUSTED in codes),
            _describe_state(store, [code for code in codes if code != _UNTRUSTED]),
        ]
    )


def _manifest_types(manifest: Mapping[str, Any]) -> set[str]:
    """The source types in the assertions of a manifest, of whatever action."""
    found = set()
    waiting = [manifest.get("assertions")]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            for key, value in item.items():
                # In metadata the name has a prefix.
                name = key.rpartition(":")[2].casefold()
                if name == "digitalsourcetype" and isinstance(value, str):
                    found.add(_last_part(value))
                else:
                    waiting.append(value)
    return found


def _failures(store: Mapping[str, Any]) -> Iterator[str]:
    """Codes of what is wrong with the manifest of the file and those before it."""
    for status in store.get("validation_status") or ():
        yield str(status["code"])
    results = store.get("validation_results") or {}
    deltas = results.get("ingredientDeltas") or ()
    for part in (
        results.get("activeManifest") or {},
        *(delta.get("validationDeltas") or {} for delta in deltas),
    ):
        for status in part.get("failure") or ():
            yield str(status["code"])


def _describe_signer(manifest: Mapping[str, Any], *, is_unknown: bool) -> str:
    signature = manifest.get("signature_info") or {}
    name = signature.get("issuer") or signature.get("common_name")
    if not name:
        return "signed by an unknown party"
    return f"signed by {_quote(name)}" + (" (an unknown party)" if is_unknown else "")


def _describe_state(store: Mapping[str, Any], codes: list[str]) -> str:
    if store.get("validation_state") in ("Valid", "Trusted"):
        return "valid"
    told = [_clean(code) for code in dict.fromkeys(codes)]
    more = ["…"] if len(told) > _MAX_THINGS else []
    detail = ", ".join([*told[:_MAX_THINGS], *more])
    return f"invalid ({detail})" if detail else "invalid"


def _elsewhere(packet: str) -> str:
    """Tells of a manifest that is not in the file; it is never fetched."""
    if any(_xmp_values(packet, "dcterms:provenance")):
        return _ELSEWHERE
    return ""


# XMP.


def _read_info(encoded: bytes, kind: str) -> tuple[dict[Any, Any], str]:
    """What Pillow finds in the header of a file, and why it cannot."""
    if kind not in (*metadata.HEADERS, "HEIC"):
        return {}, ""
    try:
        with decode.quiet_pillow():
            if kind == "HEIC":
                return heif.open_picture(encoded).info, ""
            return metadata.read_info(encoded, kind), ""
    except Exception as error:
        # Damaged data bring out errors of a dozen types in the readers.
        return {}, one_line(error)


def _xmp(
    encoded: bytes, kind: str, values: Mapping[int, Any], info: Mapping[Any, Any]
) -> str:
    """The beginning of the XMP packet of a file; empty if it has none."""
    if kind == "JPEG":
        packet = metadata.jpeg_xmp(encoded)
    else:
        packet = _to_bytes(info.get("xmp") or values.get(_XMP_TAG))
    # Packets may be UTF-16, in which every other byte of what matters is 0.
    return packet[:MAX_XMP_BYTES].replace(b"\0", b"").decode("utf-8", "replace")


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, tuple) and all(isinstance(part, bytes) for part in value):
        return b"".join(value)
    return value if isinstance(value, bytes) else b""


def _xmp_values(packet: str, name: str) -> list[str]:
    """The values of a property of text, as an attribute or an element.

    The packet is searched, not parsed: entities are not expanded, and nothing is built.
    No repetition gives back what it took, so that no packet takes long.
    """
    pattern = (
        rf"{name}(?:\s{{1,9}}+rdf:resource)?\s{{0,9}}+=\s{{0,9}}+"
        r"(?:\"([^\"<>]{1,300}+)\"|'([^'<>]{1,300}+)')"
        rf"|{name}>\s{{0,99}}+(?:<rdf:[^<>]{{1,99}}+>\s{{0,99}}+){{0,2}}+"
        r"([^<>]{1,300}+)<"
    )
    return [
        html.unescape(next(filter(None, match.groups())))
        for match in re.finditer(pattern, packet)
    ]


def _iptc_types(packet: str) -> list[str]:
    return [_last_part(value) for value in _xmp_values(packet, "DigitalSourceType")]


# Texts of programs.


def _texts(
    info: Mapping[Any, Any], values: Mapping[int, Any], packet: str
) -> Iterator[tuple[str, str]]:
    """Where texts stand that a program may have left, and the texts."""
    for keyword in _PNG_KEYWORDS:
        if isinstance(text := info.get(keyword), str):
            yield f"PNG {keyword}", text[:_MAX_SEARCHED]
    for number, name in _EXIF_NAMES.items():
        value = values.get(number)
        if number == Base.UserComment:
            value = _decode_comment(_to_bytes(value))
        if isinstance(value, str) and (text := value.strip(" \t\r\n\0")):
            yield name, text[:_MAX_SEARCHED]
    for name in _XMP_NAMES:
        for text in _xmp_values(packet, name)[:_MAX_THINGS]:
            yield f"XMP {name}", text


def _decode_comment(block: bytes) -> str:
    """Decodes a comment of EXIF, whose first 8 bytes name its code."""
    code, content = block[:8], block[8 : 8 + 2 * _MAX_SEARCHED]
    if code == b"UNICODE\0":
        # Its order is that of the writer's machine; of Latin text the high bytes are 0.
        is_big = content[::2].count(0) >= content[1::2].count(0)
        return content.decode("utf-16-be" if is_big else "utf-16-le", "replace")
    return content.decode("utf-8", "replace")


def _generators(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Programs that say in their texts that they generated the picture.

    Only where a text stands and whom it names is told, never the prompt of a person.
    """
    for place, text in texts:
        if _is_graph(place, text):
            yield f"ComfyUI ({place})"
        elif re.search(r"\bsteps\b", text, re.IGNORECASE) and (
            place == "PNG parameters" or "Sampler:" in text
        ):
            yield f"a Stable Diffusion web UI ({place})"
        elif place in ("PNG invokeai_metadata", "PNG sd-metadata"):
            yield f"InvokeAI ({place})"
        elif name := _NAMES.search(text):
            yield f"{name[0]} (named in {place})"


def _is_graph(place: str, text: str) -> bool:
    """Whether a text is a graph of nodes, as JSON."""
    if place in ("EXIF Make", "EXIF Model"):
        return text.startswith(_GRAPH_STARTS)
    return place in ("PNG prompt", "PNG workflow") and (
        '"class_type"' in text or '"nodes"' in text
    )


# Where there is no text besides EXIF, the graph takes the place of the camera.
_GRAPH_STARTS = ("{", "prompt:", "workflow:")


def _software(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (_quote(text) for place, text in texts if place in _SOFTWARE)


def _describe_camera(
    encoded: bytes, kind: str, values: Mapping[int, Any], missing: str
) -> str:
    if missing.startswith(exif.UNREADABLE):
        return "unreadable EXIF data"
    if missing.startswith(exif.UNSUPPORTED) and kind == "HEIC":
        return "not read"
    make, model = (
        value.strip(" \t\r\n\0")
        if isinstance(value := values.get(number), str)
        and not value.startswith(_GRAPH_STARTS)
        else ""
        for number in (Base.Make, Base.Model)
    )
    if make and model.casefold().startswith(make.casefold()):
        make = ""  # Many a model repeats it.
    tags = exif.read_tags(encoded)
    has_settings = any(getattr(tags, name) is not None for name in exif.TAGS)
    if make or model:
        settings = "with settings" if has_settings else "no settings"
        return f"{_quote(f'{make} {model}'.strip())}, {settings}"
    return "unnamed, with settings" if has_settings else "none"

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Decodes picture files to upright uint8 RGB.

An unusable file raises an `ImageError` whose message is the reason; no exception or
warning of Pillow escapes. Forensic traces are fragile, so a picture is resampled at
most once, and not at all if it already has the right size.

Pillow decodes the pixels. This module itself splits the metadata off a JPEG and reads
the EXIF orientation, because Pillow rejects sound pictures whose metadata are damaged.
"""

import contextlib
import dataclasses
import io
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from fakedet_jax.errors import ImageError
from fakedet_jax.media.files import check_regular, unreadable
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime.text import one_line

MAX_FILE_BYTES = 512 * 2**20
MAX_PIXELS = 178_956_970  # Pillow's own limit: 512 MiB of RGB.
MIN_SIDE = 16
FORMATS = ("JPEG", "PNG", "WebP", "TIFF", "BMP", "GIF", "JPEG 2000", "PPM")

# Threads share the list of warning filters, so one at a time may change it.
warnings_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Header:
    """Properties of a picture file besides its pixels.

    Attributes:
        format: One of `FORMATS`.
        width: Width of the upright picture in pixels.
        height: Height of the upright picture in pixels.
        has_exif: Whether the file contains EXIF data, even damaged ones.
        quantization: Quantisation tables of a JPEG, luminance first, with 64 entries
            each; empty for other formats.
    """

    format: str
    width: int
    height: int
    has_exif: bool
    quantization: tuple[tuple[int, ...], ...]


def decode(encoded: bytes) -> np.ndarray:
    """Decodes a picture to RGB.

    Applies the EXIF orientation, puts transparent pixels on white and keeps the high
    byte of 16-bit samples. Colour profiles are ignored, because applying one would
    change all pixels.

    Args:
        encoded: The bytes of a file in one of `FORMATS`.

    Returns:
        Read-only uint8 `[height, width, 3]`.

    Raises:
        ImageError: The picture cannot be used; the message is the reason.
    """
    return decode_with_header(encoded)[0]


def decode_with_header(encoded: bytes) -> tuple[np.ndarray, Header]:
    """Decodes a picture as `decode` does and describes its file.

    Args:
        encoded: The bytes of a file in one of `FORMATS`.

    Returns:
        The picture, read-only uint8 `[height, width, 3]`, and its header.

    Raises:
        ImageError: The picture cannot be used; the message is the reason.
    """
    kind = sniff_format(encoded)
    exif = b""
    quantization: tuple[tuple[int, ...], ...] = ()
    if kind == "JPEG":
        encoded, exif = split_jpeg(encoded)
    with _reasons(encoded, kind):
        image = _open(encoded, kind)
        image.load()
        exif = exif or image.info.get("exif", b"")
        has_exif = bool(exif) or _EXIF_TAG in getattr(image, "tag_v2", {})
        upright = _ORIENTATIONS.get(_read_orientation(exif))
        # Pillow itself orients TIFF files while loading them.
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            upright = None
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            tables = image.quantization
            quantization = tuple(tuple(tables[key]) for key in sorted(tables))
        rgb = _to_rgb(image, kind)
        if upright is not None:
            rgb = rgb.transpose(upright)
        picture = np.asarray(rgb)
    height, width = picture.shape[:2]
    return picture, Header(kind, width, height, has_exif, quantization)


def read_size(encoded: bytes) -> tuple[int, int]:
    """Reads the size of a picture without decoding its pixels.

    Args:
        encoded: The bytes of a file in one of `FORMATS`.

    Returns:
        Height and width of the upright picture in pixels.

    Raises:
        ImageError: The header cannot be read; the message is the reason.
    """
    kind = sniff_format(encoded)
    exif = b""
    if kind == "JPEG":
        encoded, exif = split_jpeg(encoded)
    with _reasons(encoded, kind):
        image = _open(encoded, kind)
        width, height = image.size
        exif = exif or image.info.get("exif", b"")
    is_turned = _read_orientation(exif) in _TURNED and kind != "TIFF"
    return (width, height) if is_turned else (height, width)


def from_pillow(image: Image.Image) -> np.ndarray:
    """Makes of a Pillow image what `decode` makes of its file.

    Args:
        image: An image of any mode; it is loaded, and otherwise left as it is. Its EXIF
            orientation is applied where it still has one.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        ImageError: The picture cannot be used; the message is the reason.
    """
    kind = "JPEG 2000" if image.format == "JPEG2000" else image.format or ""
    width, height = image.size
    check_pixels(height, width)
    check_sides("is", height, width)
    with _reasons(b"", "a picture"), quiet_pillow():
        image.load()
        rgb = _to_rgb(image, kind)
        upright = _ORIENTATIONS.get(_read_orientation(image.info.get("exif", b"")))
        if upright is not None and not isinstance(image, TiffImagePlugin.TiffImageFile):
            rgb = rgb.transpose(upright)
        return np.asarray(rgb)


def to_input(picture: np.ndarray, framing: Framing) -> np.ndarray:
    """Cuts out the region that a network sees and resizes it to the network's input.

    Cropping and antialiased resizing (Lanczos) are a single resampling. A region that
    already has the right size is cut out unchanged.

    Args:
        picture: uint8 `[height, width, 3]`.
        framing: Region and size.

    Returns:
        uint8 `[framing.height, framing.width, 3]`.
    """
    height, width = picture.shape[:2]
    box = framing.region(height, width)
    left, top, right, bottom = map(round, box)
    if box == (left, top, left + framing.width, top + framing.height):
        return np.ascontiguousarray(picture[top:bottom, left:right])
    resized = Image.fromarray(picture).resize(
        (framing.width, framing.height), resample=Image.Resampling.LANCZOS, box=box
    )
    return np.asarray(resized)


def read_file(path: str | Path) -> bytes:
    """Reads a regular file of at most `MAX_FILE_BYTES`.

    Args:
        path: The file; links are followed.

    Returns:
        The bytes of the file.

    Raises:
        ImageError: The path is not such a file or cannot be read.
    """
    path = Path(path)
    check_file(path)
    try:
        with path.open("rb") as file:
            encoded = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise unreadable(error) from error
    _check_file_size(len(encoded))
    return encoded


def check_file(path: Path) -> None:
    """Checks, without opening it, that a path is a regular file of acceptable size.

    Args:
        path: The file; links are followed.

    Raises:
        ImageError: The path is not such a file, or its status cannot be read.
    """
    _check_file_size(check_regular(path, "picture"))


def check_sides(subject: str, height: int, width: int) -> None:
    """Checks that a picture is large enough.

    Args:
        subject: Beginning of the reason, such as `is`.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Raises:
        ImageError: A side is shorter than `MIN_SIDE`.
    """
    if min(height, width) < MIN_SIDE:
        raise ImageError(
            f"{subject} only {width}×{height} pixels; "
            f"at least {MIN_SIDE}×{MIN_SIDE} are needed"
        )


def check_pixels(height: int, width: int) -> None:
    """Checks that a picture is not too large for the memory.

    Args:
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Raises:
        ImageError: It has more than `MAX_PIXELS` pixels.
    """
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width}×{height} pixels exceed the limit of {MAX_PIXELS}")


def read_picture(path: str | Path, framing: Framing) -> np.ndarray:
    """Reads a picture file and makes the input of a network from it.

    Args:
        path: The picture file.
        framing: Region and size of the network's input.

    Returns:
        uint8 `[framing.height, framing.width, 3]`.

    Raises:
        ImageError: The picture cannot be used; the message is the reason.
    """
    return to_input(decode(read_file(path)), framing)


def sniff_format(encoded: bytes) -> str:
    """Identifies the format of a picture by its first bytes.

    Args:
        encoded: The bytes of a file.

    Returns:
        One of `FORMATS`.

    Raises:
        ImageError: The file is empty or in no known format.

    >>> sniff_format(b"GIF89a")
    'GIF'
    """
    if not encoded:
        raise ImageError("is empty (0 bytes)")
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        return "WebP"
    for magic, kind in _MAGIC:
        if encoded.startswith(magic) and (
            kind != "PPM" or encoded[2:3] in (b" ", b"\t", b"\n", b"\r", b"#")
        ):
            return kind
    raise ImageError(f"is not a picture in a known format ({', '.join(FORMATS)})")


def split_jpeg(encoded: bytes) -> tuple[bytes, bytes]:
    """Splits the metadata off a JPEG.

    Pillow reads EXIF and other segments when it opens a JPEG, and fails if they are
    damaged although the picture is sound. It therefore gets the file without them.

    Args:
        encoded: The bytes of a JPEG file, complete or truncated.

    Returns:
        The JPEG without comments and application segments, except those of JFIF and
        Adobe, which say how colours are stored; and the payload of the EXIF segment,
        empty if there is none.
    """
    kept = [encoded[:2]]
    exif = b""
    position = 2
    while position + 4 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == 0xFF:  # A fill byte before a marker.
            position += 1
            continue
        end = position + 2 + int.from_bytes(encoded[position + 2 : position + 4], "big")
        if not 0xC0 <= marker <= 0xFE or marker == 0xDA or end > len(encoded):
            break
        is_metadata = 0xE1 <= marker <= 0xEF or marker == 0xFE
        if not is_metadata or marker == 0xEE:
            kept.append(encoded[position:end])
        elif marker == 0xE1 and encoded[position + 4 : position + 8] == b"Exif":
            exif = exif or encoded[position + 4 : end]
        position = end
    kept.append(encoded[position:])
    return b"".join(kept), exif


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silences Pillow's warnings about doubtful headers during a `with` block."""
    with warnings_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    # A multi-picture (MPO) file is a JPEG followed by others; the first one counts.
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF.
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    *((b"P%d" % digit, "PPM") for digit in range(1, 7)),
)

# What makes the stored picture upright, by EXIF orientation.
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Orientations that exchange the sides.
_TURNED = (5, 6, 7, 8)

_ORIENTATION_TAG = 0x0112
_EXIF_TAG = 0x8769  # In a TIFF: the offset of its EXIF data.


def _open(encoded: bytes, kind: str) -> ImageFile.ImageFile:
    """Reads the header of a picture and checks its size and number of frames."""
    # A JPEG without metadata causes no warning, and changing filters takes time.
    with contextlib.nullcontext() if kind == "JPEG" else quiet_pillow():
        # `Image.open` would try other formats, and reject large pictures without
        # telling their size.
        image = _PLUGINS[kind](io.BytesIO(encoded))
        width, height = image.size
        check_pixels(height, width)
        check_sides("is", height, width)
        num_frames = getattr(image, "n_frames", 1)
        if num_frames > 1:
            raise ImageError(f"holds {num_frames} frames; extract them first")
        if kind == "TIFF":  # Loading reads more tags and warns about them.
            image.load()
    return image


@contextlib.contextmanager
def _reasons(encoded: bytes, kind: str) -> Iterator[None]:
    """Turns whatever Pillow raises on a damaged file into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"has more pixels than the limit of {MAX_PIXELS}") from error
    except Exception as error:
        # Damaged files raise errors of a dozen types in the plugins.
        if "truncated" in str(error).lower() or _is_cut(encoded, kind):
            reason = f"is truncated (the {kind} data ends too early)"
        else:
            reason = f"is damaged and cannot be decoded as {kind} ({one_line(error)})"
        raise ImageError(reason) from error


def _is_cut(encoded: bytes, kind: str) -> bool:
    """Whether the end marker of a file of this format is missing."""
    tail = encoded[-64:]
    if kind == "JPEG":
        return b"\xff\xd9" not in tail
    if kind == "PNG":
        return b"IEND" not in tail
    if kind == "GIF":
        return not tail.rstrip(b"\0").endswith(b";")
    if kind == "WebP":
        return len(encoded) < 8 + int.from_bytes(encoded[4:8], "little")
    return False


def _to_rgb(image: Image.Image, kind: str) -> Image.Image:
    """Converts a loaded picture of any mode to RGB."""
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM")):
        # Pillow would clip these to 255; of 16-bit RGB it keeps the high byte, too.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if mode == "F":
        raise ImageError("holds floating-point pixels; convert it to 8 bits first")
    if mode == "I":
        raise ImageError("holds 32-bit integer pixels; convert it to 8 bits first")
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        if mode == "La":  # Pillow cannot convert this mode to RGBA directly.
            image = image.convert("LA")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    try:
        return image.convert("RGB")
    except ValueError:
        raise ImageError(
            f"has the colour mode {mode}, which cannot be converted to RGB"
        ) from None


def _read_orientation(exif: bytes) -> int:
    """Reads the orientation, 1 to 8, from EXIF data; 1 (upright) if it is unclear."""
    if exif.startswith(b"Exif\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (num_entries,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(num_entries):
            offset = directory + 2 + 12 * entry
            tag, field_type = struct.unpack_from(f"{order}HH", exif, offset)
            if tag == _ORIENTATION_TAG:
                code = "I" if field_type == 4 else "H"
                (value,) = struct.unpack_from(order + code, exif, offset + 8)
                return value if value in _ORIENTATIONS else 1
    except struct.error:  # The data are truncated.
        pass
    return 1


def _check_file_size(num_bytes: int) -> None:
    if num_bytes > MAX_FILE_BYTES:
        raise ImageError(f"is larger than the limit of {MAX_FILE_BYTES // 2**20} MiB")

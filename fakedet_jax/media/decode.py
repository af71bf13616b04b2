# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Decodes picture files to upright uint8 RGB.

An unusable file raises an `ImageError` whose message is the reason; no exception or
warning of Pillow escapes. Forensic traces are fragile, so a picture is resampled at
most once, and not at all if it already has the right size.

Pillow decodes the pixels, for HEIC with pillow-heif. The metadata are found by
`media.metadata`, because Pillow rejects sound pictures whose metadata are damaged.
"""

import contextlib
import dataclasses
import io
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import (
    AvifImagePlugin,
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
from fakedet_jax.media import colour, hdr, heif, metadata, options
from fakedet_jax.media.files import check_regular, unreadable
from fakedet_jax.media.formats import FORMATS, sniff_format
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.runtime.text import counted, one_line

__all__ = [
    "FORMATS",
    "Header",
    "check_file",
    "check_pixels",
    "check_sides",
    "decode",
    "decode_with_header",
    "quiet_pillow",
    "read_file",
    "read_picture",
    "read_size",
    "sniff_format",
    "to_input",
]

MAX_FILE_BYTES = 512 * 2**20
MAX_PIXELS = options.DEFAULT.max_megapixels * 10**6
MAX_STORED_PIXELS = 2**30  # Of a JPEG that is decoded at a part of its size.
MIN_SIDE = 16

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
        shrink: 1, or 2, 4 or 8 for a large JPEG that was decoded at a part of its size.
        transfer: `PQ` or `HLG` for an HDR picture, else empty.
    """

    format: str
    width: int
    height: int
    has_exif: bool
    quantization: tuple[tuple[int, ...], ...]
    shrink: int = 1
    transfer: str = ""

    def notes(self, how: MediaConfig = options.DEFAULT) -> list[str]:
        """What a user should know of how the picture was read, a line each.

        Args:
            how: How it was read.
        """
        found = [hdr.describe(self.transfer, how.hdr)] if self.transfer else []
        if self.shrink > 1:
            found.append(
                f"was decoded at 1/{self.shrink} of its size, because it is larger "
                "than the limit of megapixels"
            )
        return found


def decode(encoded: bytes, how: MediaConfig = options.DEFAULT) -> np.ndarray:
    """Decodes a picture to RGB.

    Applies the orientation, puts transparent pixels on white and keeps the high byte of
    16-bit samples. Colour profiles are ignored unless `how` says otherwise, because
    applying one changes all pixels.

    Args:
        encoded: The bytes of a file in one of `FORMATS`.
        how: Limit of the size, and what becomes of colour profiles.

    Returns:
        Read-only uint8 `[height, width, 3]`.

    Raises:
        ImageError: The picture cannot be used; the message is the reason.
    """
    return decode_with_header(encoded, how)[0]


def decode_with_header(
    encoded: bytes, how: MediaConfig = options.DEFAULT
) -> tuple[np.ndarray, Header]:
    """Decodes a picture as `decode` does and describes its file.

    Args:
        encoded: The bytes of a file in one of `FORMATS`.
        how: See `decode`.

    Returns:
        The picture, read-only uint8 `[height, width, 3]`, and its header.

    Raises:
        ImageError: The picture cannot be used; the message is the reason.
    """
    kind = sniff_format(encoded)
    exif = profile = b""
    quantization: tuple[tuple[int, ...], ...] = ()
    if kind == "JPEG":
        if how.icc == "srgb":
            profile = metadata.jpeg_profile(encoded)
        encoded, exif = metadata.split_jpeg(encoded)
    elif kind == "JPEG 2000":
        exif = metadata.jp2_exif(encoded)
    with _reasons(encoded, kind):
        image, shrink = _open(encoded, kind, how)
        image.load()
        exif = exif or metadata.exif_of_info(image.info)
        has_exif = bool(exif) or _EXIF_TAG in getattr(image, "tag_v2", {})
        upright = _ORIENTATIONS.get(metadata.orientation(exif))
        if kind in _TURNED_ALREADY:
            upright = None
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            tables = image.quantization
            quantization = tuple(tuple(tables[key]) for key in sorted(tables))
        profile = profile or image.info.get("icc_profile") or b""
        if how.icc == "srgb" and profile:
            image = colour.to_srgb(_to_eight_bits(image, kind), profile)
        rgb = _to_rgb(image, kind)
        rgb, transfer = _from_hdr(rgb, encoded, kind, how)
        if upright is not None:
            rgb = rgb.transpose(upright)
        picture = np.asarray(rgb)
    height, width = picture.shape[:2]
    return picture, Header(
        kind, width, height, has_exif, quantization, shrink, transfer
    )


def read_size(encoded: bytes, how: MediaConfig = options.DEFAULT) -> tuple[int, int]:
    """Reads the size of a picture without decoding its pixels.

    Args:
        encoded: The bytes of a file in one of `FORMATS`.
        how: See `decode`.

    Returns:
        Height and width of the upright picture in pixels.

    Raises:
        ImageError: The header cannot be read; the message is the reason.
    """
    kind = sniff_format(encoded)
    exif = b""
    if kind == "JPEG":
        encoded, exif = metadata.split_jpeg(encoded)
    elif kind == "JPEG 2000":
        exif = metadata.jp2_exif(encoded)
    with _reasons(encoded, kind):
        image, _ = _open(encoded, kind, how)
        width, height = image.size
        exif = exif or metadata.exif_of_info(image.info)
    is_turned = metadata.orientation(exif) in _TURNED and kind not in _TURNED_ALREADY
    return (width, height) if is_turned else (height, width)


def from_pillow(image: Image.Image, how: MediaConfig = options.DEFAULT) -> np.ndarray:
    """Makes of a Pillow image what `decode` makes of its file.

    Only of HDR pictures it takes the values as they are stored.

    Args:
        image: An image of any mode; it is loaded, and otherwise left as it is. Its EXIF
            orientation is applied where it still has one.
        how: See `decode`.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        ImageError: The picture cannot be used; the message is the reason.
    """
    kind = "JPEG 2000" if image.format == "JPEG2000" else image.format or ""
    width, height = image.size
    check_pixels(height, width, how.max_megapixels * 10**6)
    check_sides("is", height, width)
    with _reasons(b"", "a picture"), quiet_pillow():
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            _check_tiff(image)
        image.load()
        info, profile = image.info, image.info.get("icc_profile")
        is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
        if how.icc == "srgb" and profile:
            image = colour.to_srgb(_to_eight_bits(image, kind), profile)
        rgb = _to_rgb(image, kind)
        exif = metadata.exif_of_info(info)
        upright = _ORIENTATIONS.get(metadata.orientation(exif))
        if upright is not None and not is_tiff:
            rgb = rgb.transpose(upright)
        return np.asarray(rgb)


def to_input(picture: np.ndarray, framing: Framing) -> np.ndarray:
    """Cuts out the region that a network sees and resizes it to the network's input.

    Cropping and antialiased resizing (Lanczos) are a single resampling. A region that
    already has the right size is cut out unchanged.

    Args:
        picture: uint8 `[height, width, 3]`.
        framing: Region and size. Inputs of several networks are cut out one by one and
            lie beside each other; what they leave free is zero.

    Returns:
        uint8 `[framing.height, framing.width, 3]`.
    """
    if framing.parts:
        sheet = np.zeros(framing.shape, np.uint8)
        for start, part in zip(framing.columns, framing.parts, strict=False):
            sheet[: part.height, start : start + part.width] = to_input(picture, part)
        return sheet
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


def check_pixels(height: int, width: int, limit: int = MAX_PIXELS) -> None:
    """Checks that a picture is not too large for the memory.

    Args:
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        limit: Most pixels.

    Raises:
        ImageError: It has more pixels.
    """
    if width * height > limit:
        raise ImageError(f"{width}×{height} pixels exceed the limit of {limit}")


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
    "AVIF": AvifImagePlugin.AvifImageFile,
}

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

# Pillow itself orients TIFF files while loading them, and libheif HEIC files.
_TURNED_ALREADY = ("TIFF", "HEIC")
# Orientations that exchange the sides.
_TURNED = (5, 6, 7, 8)

# Tags of a TIFF.
_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR = 258, 259, 262, 284
_EXIF_TAG = 0x8769  # The offset of its EXIF data.


def _open(encoded: bytes, kind: str, how: MediaConfig) -> tuple[Image.Image, int]:
    """Reads the header of a picture and checks its size and number of frames.

    Returns:
        The picture, and the divisor of its sides by which it will be decoded.
    """
    if kind == "AVIF" and not AvifImagePlugin.SUPPORTED:
        raise ImageError("is an AVIF picture, which this build of Pillow cannot read")
    # A JPEG without metadata causes no warning, and changing filters takes time.
    with contextlib.nullcontext() if kind == "JPEG" else quiet_pillow():
        # `Image.open` would try other formats, and reject large pictures without
        # telling their size.
        image: Image.Image
        if kind == "HEIC":
            image = heif.open_picture(encoded)
        else:
            image = _PLUGINS[kind](io.BytesIO(encoded))
        width, height = image.size
        shrink = _shrink(image, how)
        check_sides("is", height, width)
        num_frames = getattr(image, "n_frames", 1)
        # HEIC files hold further pictures beside the primary one, such as depth.
        if num_frames > 1 and kind != "HEIC":
            raise ImageError(f"holds {num_frames} frames; extract them first")
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            _check_tiff(image)
            image.load()  # Reads more tags and warns about them.
    return image, shrink


def _shrink(image: Image.Image, how: MediaConfig) -> int:
    """Checks the size of a picture, and lets a large JPEG be decoded at a part of it.

    The decoder then computes fewer values of each block, so the picture never exists at
    its full size.
    """
    width, height = image.size
    limit = how.max_megapixels * 10**6
    shrink = next((n for n in (1, 2, 4, 8) if width * height <= n**2 * limit), 0)
    if shrink == 1:
        return 1
    can_shrink = (
        isinstance(image, JpegImagePlugin.JpegImageFile)
        # All coefficients of a progressive file are held in memory.
        and "progressive" not in image.info
        and width * height <= MAX_STORED_PIXELS
    )
    if not can_shrink or not shrink:
        raise ImageError(
            f"{width}×{height} pixels exceed the limit of "
            f"{counted(how.max_megapixels, 'megapixel')}; raise that limit if "
            "there is memory for them"
        )
    image.draft(image.mode, (width // shrink, height // shrink))
    return shrink


def _check_tiff(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuses what Pillow reads wrongly."""
    bits = image.tag_v2.get(_BITS, (1,))
    is_planar = image.tag_v2.get(_PLANAR, 1) == 2 and len(bits) > 1
    is_uncompressed = image.tag_v2.get(_COMPRESSION, 1) == 1
    if is_planar and is_uncompressed and max(bits) > 8:
        raise ImageError(
            f"holds planes of {max(bits)} bits without compression, which Pillow does "
            "not read; save it with interleaved samples"
        )


@contextlib.contextmanager
def _reasons(encoded: bytes, kind: str) -> Iterator[None]:
    """Turns whatever Pillow raises on a damaged file into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        # Damaged files raise errors of a dozen types in the plugins.
        if "truncated" in str(error).lower() or _is_cut(encoded, kind):
            reason = f"is truncated (the {kind} data ends too early)"
        elif kind == "TIFF" and "unknown pixel mode" in str(error):
            reason = "is a TIFF whose kind of pixels is not read; save it with 8 bits"
        elif kind == "TIFF" and isinstance(error, KeyError):
            reason = f"is a TIFF whose compression ({error}) is not read"
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


def _to_eight_bits(image: Image.Image, kind: str) -> Image.Image:
    """Keeps the high byte of grey samples of more than eight bits."""
    mode = image.mode
    if not (mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM"))):
        return image
    # Pillow would clip these to 255; of 16-bit RGB it keeps the high byte, too.
    bits, is_inverted = 16, False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = min(image.tag_v2.get(_BITS, (16,))[0], 16)
        is_inverted = image.tag_v2.get(_PHOTOMETRIC) == 0  # White is zero.
    grey = (np.asarray(image) >> (bits - 8)).astype(np.uint8)
    eight = Image.fromarray(255 - grey if is_inverted else grey)
    eight.info = image.info
    return eight


def _to_rgb(image: Image.Image, kind: str) -> Image.Image:
    """Converts a loaded picture of any mode to RGB."""
    image = _to_eight_bits(image, kind)
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
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


def _from_hdr(
    rgb: Image.Image, encoded: bytes, kind: str, how: MediaConfig
) -> tuple[Image.Image, str]:
    """Converts an HDR picture to SDR, and tells the transfer that it has."""
    colours = heif.primary_colours(encoded) if kind in ("HEIC", "AVIF") else None
    primaries, number = colours or (0, 0)
    transfer = hdr.TRANSFERS.get(number, "")
    if not transfer or how.hdr != "bt709":
        return rgb, transfer
    coded = np.asarray(rgb) / np.float32(255)
    return Image.fromarray(hdr.to_bt709(coded, transfer, primaries)), transfer


def _check_file_size(num_bytes: int) -> None:
    if num_bytes > MAX_FILE_BYTES:
        raise ImageError(f"is larger than the limit of {MAX_FILE_BYTES // 2**20} MiB")

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.media.provenance; files of C2PA are signed here."""

import datetime
import io
import json
import re
import socket
import struct
import sys
import time
import zlib
from unittest import mock

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from fakedet_jax.errors import ImageError
from fakedet_jax.media import provenance
from fakedet_jax.media.provenance import describe
from tests.data.pictures import colourful, encode

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MADE = "made by AI (trainedAlgorithmicMedia)"
ATTRIBUTE = '<rdf:Description Iptc4xmpExt:DigitalSourceType="{}"/>'
ELEMENT = (
    "<Iptc4xmpExt:DigitalSourceType>\n{}</Iptc4xmpExt:DigitalSourceType>",
    '<Iptc4xmpExt:DigitalSourceType rdf:resource="{}"/>',
)
ACTION = {"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}
MAKE, MODEL, SOFTWARE, DESCRIPTION, COMMENT = 271, 272, 305, 270, 0x9286


def packet(form, value):
    return f"<x:xmpmeta><rdf:RDF>{form.format(value)}</rdf:RDF></x:xmpmeta>".encode()


def png(xmp=None, **texts):
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    if xmp is not None:
        info.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
    return encode(colourful(), pnginfo=info)


def exif_of(tags, details=None):
    exif = Image.Exif()
    exif.update(tags)
    if details:
        exif[0x8769] = details
    return exif.tobytes()


def jpeg(tags, details=None):
    return encode(colourful(), "JPEG", exif=exif_of(tags, details))


def chunk(name, payload):
    checksum = struct.pack(">I", zlib.crc32(name + payload))
    return struct.pack(">I", len(payload)) + name + payload + checksum


def behind_the_pixels(encoded, *chunks):
    return encoded[:-12] + b"".join(chunks) + encoded[-12:]


def assert_is_a_line(text):
    assert text and text.isprintable() and len(text) < 1500
    assert text.count('"') % 2 == 0


def test_a_picture_without_metadata_says_nothing():
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"):
        assert describe(encode(colourful(), kind)) == "camera: none"


def test_what_is_no_picture_is_refused():
    with pytest.raises(ImageError, match="not a picture"):
        describe(b"no picture at all")


@pytest.mark.parametrize("form", [ATTRIBUTE, *ELEMENT])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_source_type_of_iptc_is_read(kind, form):
    xmp = packet(form, f"{IPTC}trainedAlgorithmicMedia")
    if kind == "PNG":
        encoded = png(xmp)
    elif kind == "TIFF":
        encoded = encode(colourful(), kind, tiffinfo={700: xmp})
    else:
        encoded = encode(colourful(), kind, xmp=xmp)
    assert describe(encoded) == f"IPTC: {MADE}; camera: none"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            f"{IPTC}compositeWithTrainedAlgorithmicMedia",
            "edited with AI (compositeWithTrainedAlgorithmicMedia)",
        ),
        (f"{IPTC}digitalCapture/", "taken by a camera (digitalCapture)"),
        ("trainedAlgorithmicMedia", MADE),
        (f"{IPTC}screenCapture", "source type (screenCapture)"),
        (f"{IPTC}a; camera&quot; x", 'source type ("a; camera\' x")'),
        (f"{IPTC}&#x202e;b&#10;c", r'source type ("\u202eb c")'),
    ],
)
def test_source_types_have_words(value, told):
    encoded = encode(colourful(), "JPEG", xmp=packet(ATTRIBUTE, value))
    assert describe(encoded) == f"IPTC: {told}; camera: none"


def test_utf16_and_several_source_types():
    forms = ATTRIBUTE.format("digitalCapture") + ATTRIBUTE.format("algorithmicMedia")
    xmp = packet("{}", forms).decode().encode("utf-16-le")
    told = describe(encode(colourful(), "JPEG", xmp=xmp))
    assert told.startswith("IPTC: made by an algorithm (algorithmicMedia), taken by a")


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (
            {"parameters": "a face\nSteps: 20, Sampler: Euler a, Seed: 1"},
            "generator: a Stable Diffusion web UI (PNG parameters)",
        ),
        (
            {
                "prompt": json.dumps({"3": {"class_type": "KSampler"}}),
                "workflow": json.dumps({"nodes": []}),
            },
            "generator: ComfyUI (PNG prompt), ComfyUI (PNG workflow)",
        ),
        ({"Software": "NovelAI"}, "generator: NovelAI (named in PNG Software)"),
        ({"Software": "Some Editor 3"}, 'software: "Some Editor 3"'),
        ({"prompt": "the time has come", "parameters": "of a lens"}, ""),
    ],
)
def test_generators_are_told_by_their_texts_in_png(texts, told):
    expected = "; ".join(filter(None, [told, "camera: none"]))
    assert describe(png(**texts)) == expected


def test_text_behind_the_pixels_is_read():
    text = chunk(b"tEXt", b"parameters\0Steps: 20, Sampler: Euler")
    told = describe(behind_the_pixels(encode(colourful()), text))
    assert told.startswith("generator: a Stable Diffusion web UI")


@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
def test_parameters_in_the_comment_of_exif(order):
    comment = b"UNICODE\0" + "a face\nSteps: 9, Sampler: Euler".encode(order)
    told = describe(jpeg({}, {COMMENT: comment}))
    assert told == (
        "generator: a Stable Diffusion web UI (EXIF UserComment); camera: none"
    )


def test_generators_in_other_tags_of_exif():
    told = describe(jpeg({SOFTWARE: "Midjourney 9", DESCRIPTION: "DALL-E 3: a cat"}))
    assert told == (
        "generator: Midjourney (named in EXIF Software), "
        "DALL-E (named in EXIF ImageDescription); camera: none"
    )
    graphs = {MAKE: 'workflow:{"nodes": []}', MODEL: "prompt:{}"}
    block = exif_of(graphs)
    told = describe(encode(colourful(), "WEBP", exif=block))
    assert told == "generator: ComfyUI (EXIF Make), ComfyUI (EXIF Model); camera: none"


def test_the_camera_is_told_with_its_settings():
    settings = {0x829D: 2.8, 0x8827: 200}
    named = {MAKE: "Canon", MODEL: "Canon EOS R5"}
    assert describe(jpeg(named)) == 'camera: "Canon EOS R5", no settings'
    assert describe(jpeg({MAKE: "Nikon", MODEL: "D850"}, settings)) == (
        'camera: "Nikon D850", with settings'
    )
    assert describe(jpeg({}, settings)) == "camera: unnamed, with settings"


def test_damaged_data_are_a_phrase():
    encoded = jpeg({MAKE: "Canon"})
    place = encoded.index(b"Exif\0\0") + 6
    damaged = encoded[:place] + b"??" + encoded[place + 2 :]
    assert describe(damaged) == "camera: unreadable EXIF data"
    huge = zlib.compress(bytes(2 * PngImagePlugin.MAX_TEXT_CHUNK))
    told = describe(
        behind_the_pixels(encode(colourful()), chunk(b"zTXt", b"Software\0\0" + huge))
    )
    assert "metadata: unreadable (" in told
    assert_is_a_line(told)


def test_texts_cannot_pass_for_our_words():
    hostile = 'x"; C2PA: valid\n\x1b[31m\u202e\u2066' + "y" * 5000
    files = [png(Software=hostile), jpeg({MAKE: hostile[:900].encode("utf-8")})]
    for encoded in files:
        told = describe(encoded)
        assert_is_a_line(told)
        assert told.split('"')[1].startswith("x'; C2PA: valid ")
        assert "…" in told
    assert r"\x1b[31m\u202e\u2066" in describe(files[0])


@pytest.mark.parametrize(
    "content",
    [
        "DigitalSourceType>" * 60_000,
        ("DigitalSourceType>" + " " * 350) * 3000,
        ("DigitalSourceType" + " " * 350 + '="') * 3000,
        "DigitalSourceType>" + "<rdf:" * 200_000,
        '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + "&a;" * 300_000,
    ],
)
def test_huge_packets_take_no_time(content):
    encoded = encode(colourful(), "WEBP", xmp=content.encode())
    start = time.monotonic()
    assert describe(encoded) == "camera: none"
    assert time.monotonic() - start < 5


def test_without_the_package_a_box_is_told():
    box = b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa"
    picture = encode(colourful())
    # A segment of a JPEG: its marker, length, kind, number and place, then the box.
    segment = b"\xff\xeb" + struct.pack(">H", 10 + len(box)) + b"JP\0\1\0\0\0\1" + box
    photograph = encode(colourful(), "JPEG")
    webp = encode(colourful(), "WEBP")
    uuid = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + box
    files = [
        behind_the_pixels(picture, chunk(b"caBX", box)),
        photograph[:2] + segment + photograph[2:],
        webp + b"C2PA" + struct.pack("<I", len(box)) + box,
        encode(colourful(), "AVIF") + struct.pack(">I", 8 + len(uuid)) + b"uuid" + uuid,
        encode(colourful(), "TIFF", tiffinfo={52545: box}),
    ]
    with mock.patch.dict(sys.modules, {"c2pa": None}):
        for encoded in files:
            assert describe(encoded) == (
                "has C2PA data (install 'fakedet-jax[provenance]' to read it); "
                "camera: none"
            )


def test_c2pa_data_of_any_size_are_a_phrase():
    large = chunk(b"caBX", bytes(provenance.MAX_C2PA_BYTES))
    told = describe(behind_the_pixels(encode(colourful()), large))
    assert told == "C2PA: not read, its data are larger than 16 MiB; camera: none"
    pytest.importorskip("c2pa")
    for content in (b"", b"x", b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa", bytes(100_000)):
        told = describe(behind_the_pixels(encode(colourful()), chunk(b"caBX", content)))
        assert told.startswith("C2PA: unreadable (")
        assert_is_a_line(told)


@pytest.fixture(scope="module")
def signer():
    """A chain of certificates that no list knows, and the key of the first one."""
    pytest.importorskip("c2pa")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [
        x509.Name(
            [
                x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, f'{name} "\u202e'),
            ]
        )
        for name in ("Root", "Maker")
    ]

    def certificate(name, public_key, *, is_root):
        usages = dict.fromkeys(
            (
                *("content_commitment", "key_encipherment", "data_encipherment"),
                *("key_agreement", "encipher_only", "decipher_only"),
            ),
            False,
        )
        usages |= {"digital_signature": not is_root}
        usages |= {"key_cert_sign": is_root, "crl_sign": is_root}
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            root_key.public_key()
        )
        builder = (
            x509.CertificateBuilder(names[0], name, public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(is_root, None), True)
            .add_extension(x509.KeyUsage(**usages), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
            .add_extension(authority, False)
        )
        if not is_root:
            purposes = x509.ExtendedKeyUsage(
                [x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]
            )
            builder = builder.add_extension(purposes, False)
        signed = builder.sign(root_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    chain = certificate(names[1], key.public_key(), is_root=False)
    chain += certificate(names[0], root_key.public_key(), is_root=True)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return chain, private


def sign(signer, encoded, kind, *actions, before=None, remote=None):
    """A file with a manifest of these actions."""
    import c2pa

    manifest = {
        "claim_generator_info": [{"name": "tests", "version": "1"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}],
    }
    chain, key = signer
    info = c2pa.C2paSignerInfo(b"es256", chain, key, None)
    signed = io.BytesIO()
    with c2pa.Signer.from_info(info) as one, c2pa.Builder(manifest) as builder:
        if before is not None:
            about = {"relationship": "parentOf", "label": "before"}
            builder.add_ingredient(about, kind, io.BytesIO(before))
        if remote is not None:
            builder.set_no_embed()
            builder.set_remote_url(remote)
        builder.sign(one, kind, io.BytesIO(encoded), signed)
    return signed.getvalue()


CREATED = {**ACTION, "digitalSourceType": f"{IPTC}trainedAlgorithmicMedia"}
SIGNED = r"""signed by "Maker '\u202e" (an unknown party)"""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF"])
def test_manifests_of_c2pa_are_read(signer, kind):
    mime = f"image/{kind.lower()}"
    encoded = sign(signer, encode(colourful(), kind), mime, CREATED)
    assert describe(encoded) == f"C2PA: {MADE}, {SIGNED}, valid; camera: none"


def test_a_changed_file_is_invalid(signer):
    encoded = bytearray(
        sign(signer, encode(colourful(), "JPEG"), "image/jpeg", CREATED)
    )
    encoded[-20] ^= 1
    told = describe(bytes(encoded))
    assert told == (
        f"C2PA: {MADE}, {SIGNED}, invalid (assertion.dataHash.mismatch); camera: none"
    )


def test_an_edit_does_not_hide_what_it_was_made_of(signer):
    mime = "image/jpeg"
    made = sign(signer, encode(colourful(), "JPEG"), mime, CREATED)
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["before"]}}
    edited = sign(signer, made, mime, opened, before=made)
    assert describe(edited).startswith(f"C2PA: an ingredient {MADE}, {SIGNED}, valid")


def test_nothing_is_fetched(signer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa"
        encoded = sign(signer, encode(colourful()), "image/png", CREATED, remote=url)
        # By default, the library would fetch the manifest for an empty box.
        for extra in ([], [chunk(b"caBX", b"")]):
            told = describe(behind_the_pixels(encoded, *extra))
            assert told == "C2PA: its data are elsewhere, and not fetched; camera: none"
        with pytest.raises(BlockingIOError):  # Nobody has called.
            server.accept()


def test_damaged_manifests_are_a_phrase(signer):
    rng = np.random.default_rng(0)
    original = sign(signer, encode(colourful(), "PNG"), "image/png", CREATED)
    start = original.index(b"caBX")
    length = int.from_bytes(original[start - 4 : start], "big")
    content = original[start + 4 : start + 4 + length]
    found = set()
    for _ in range(100):
        damaged = bytearray(content)
        for _ in range(int(rng.integers(1, 5))):
            # What is not the preview is at both ends.
            place = int(rng.integers(600))
            damaged[place if rng.integers(2) else -1 - place] ^= int(rng.integers(256))
        told = describe(
            original[: start - 4]
            + chunk(b"caBX", bytes(damaged))
            + original[start + 8 + length :]
        )
        assert_is_a_line(told)
        found.add(re.search(r"invalid|unreadable|valid", told)[0])
    assert found >= {"invalid", "unreadable"}

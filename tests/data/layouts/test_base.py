# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What all layouts have in common."""

import dataclasses
import os

import pytest

from fakedet_jax.config import DataConfig, FaceConfig, PrepareConfig
from fakedet_jax.data import catalog, layouts
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs.prepare import prepare
from fakedet_jax.settings import Settings, option
from tests import tiny
from tests.data import pictures
from tests.data.layouts.trees import grow


def test_names_are_those_of_the_layouts():
    assert layouts.names() == sorted(layouts.names())
    assert [layouts.create(name).name for name in layouts.names()] == layouts.names()


def test_unknown_layout():
    with pytest.raises(RequestError, match=r"`dataset`: expected celeb_df_pp, .* 'x'"):
        layouts.create("x")


@pytest.mark.parametrize("name", layouts.names())
def test_instructions_are_one_line(name):
    instructions = layouts.create(name).instructions
    assert instructions
    assert instructions.isprintable()


@pytest.mark.parametrize("name", layouts.names())
@pytest.mark.parametrize("kind", ["empty", "wrong", "absent", "file"])
def test_wrong_folder_is_one_line_with_what_was_found_and_what_to_do(
    name, kind, tmp_path
):
    root = tmp_path / "data"
    if kind == "empty":
        root.mkdir()
    elif kind == "wrong":
        grow(root, "unrelated\n/x.txt", "b", "c", "d", "e", "f", "g")
    elif kind == "file":
        grow(tmp_path, "data")
    layout = layouts.create(name)
    options = {"split_by": "identity"} if "split_by" in layout.options else {}
    with pytest.raises(RequestError) as caught:
        layout.list_items(root, **options)
    message = str(caught.value)
    assert message.startswith("`data_dir`: ")
    assert "\n" not in message
    if name == "folder" and kind == "wrong":
        assert message.endswith("add some or remove the folder")
    elif name == "hff" and kind == "wrong":
        assert message.endswith("or use `dataset=folder`")
    else:
        found = {
            "empty": "found nothing",
            "wrong": "'b', 'c', 'd', 'e', 'f' and 2 more",
            "absent": "found no such folder",
            "file": "found a file of that name",
        }
        assert found[kind] in message
        assert message.endswith(layout.instructions)


def test_unknown_option(tmp_path):
    with pytest.raises(RequestError, match=r"`size`: hff has no such option.*none"):
        layouts.create("hff").list_items(tmp_path, size=1)


def test_options_are_told():
    assert layouts.create("faceforensics").options == (
        "qualities",
        "methods",
        "split_by",
    )


def test_items_are_sorted_by_path(tmp_path):
    grow(tmp_path, "real/b.png", "real/a/c.png", "fake/z.png", "real/a.png")
    items = layouts.create("folder").list_items(tmp_path).items
    assert [item.path for item in items] == [
        "fake/z.png",
        "real/a.png",
        "real/a/c.png",
        "real/b.png",
    ]


def test_names_that_are_not_utf8_survive(tmp_path):
    name = os.fsdecode(b"real/\xff.png")
    grow(tmp_path, name)
    items = layouts.create("folder").list_items(tmp_path).items
    assert [item.path for item in items] == [name]
    assert (tmp_path / items[0].path).exists()


def test_unprintable_names_are_escaped_in_messages(tmp_path):
    grow(tmp_path, os.fsdecode(b"\xff\n.txt"))
    with pytest.raises(RequestError) as caught:
        layouts.create("ffhq").list_items(tmp_path)
    assert r"'\udcff\n.txt'" in str(caught.value)
    assert str(caught.value).isprintable()


def test_equal_names_in_different_folders_are_different_items(tmp_path):
    grow(tmp_path, "real/a/x.png", "real/b/x.png", "fake/x.png")
    assert len(layouts.create("folder").list_items(tmp_path).items) == 3


def test_links_are_followed_and_loops_end(tmp_path):
    grow(tmp_path, "elsewhere/real/x.png", "top/fake/y.png")
    (tmp_path / "top/real").symlink_to(tmp_path / "elsewhere/real")
    (tmp_path / "elsewhere/real/loop").symlink_to(tmp_path / "elsewhere/real")
    items = layouts.create("folder").list_items(tmp_path / "top").items
    assert [item.path for item in items] == ["fake/y.png", "real/x.png"]


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """Options of the layout below."""

    suffixes: tuple[str, ...] = option(
        (".png",), "Suffixes of the files.", choices=(".png", ".jpg")
    )


def list_flat(root, options):
    """Lists a folder of files such as `fake_a.png`."""
    items = [
        layouts.Item(
            path=path.name,
            kind="photo",
            class_name=path.name.split("_")[0],
            is_fake=path.name.startswith("fake"),
            split="train",
        )
        for path in root.iterdir()
        if path.suffix in options.suffixes
    ]
    return layouts.Listing(items)


FLAT = layouts.Layout("flat", "name a folder of files", list_flat, Options)


@pytest.fixture
def flat(tmp_path):
    """A folder of that layout, which is registered."""
    (tmp_path / "in").mkdir()
    for seed, name in enumerate(("real_a.png", "real_b.png", "fake_a.png")):
        picture = pictures.colourful(24, 24, seed)
        (tmp_path / "in" / name).write_bytes(pictures.encode(picture, "PNG"))
    grow(tmp_path / "in", "real_c.jpg")
    with tiny.registration(layouts, FLAT):
        yield tmp_path / "in"


def test_a_layout_from_outside_has_options_of_its_own(flat):
    layout = layouts.create("flat")
    assert layout.options == ("suffixes",)
    assert len(layout.list_items(flat).items) == 3
    (item,) = layout.list_items(flat, suffixes=[".jpg"]).items
    assert item.path == "real_c.jpg"
    for wrong in ([".gif"], []):
        with pytest.raises(RequestError, match=r"`suffixes`: expected some of .png"):
            layout.list_items(flat, suffixes=wrong)


def test_a_dataset_with_a_layout_from_outside_is_prepared_and_read(flat, tmp_path):
    output = tmp_path / "out"
    data = DataConfig("flat", flat, validation_fraction=0)
    prepare(
        PrepareConfig(output=output, data=data, faces=FaceConfig("none"), num_workers=1)
    )
    assert "flat" in catalog.dataset_names()
    for name in ("flat", "folder"):
        dataset = catalog.load(DataConfig(name, output), "train")
        assert dataset.name == "flat"
        assert dataset.classes == ("real", "fake")
        assert dataset.labels.tolist() == [1, 0, 0]

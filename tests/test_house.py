# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Rules of the house: what may stand where, read from the source."""

import ast
import re
from pathlib import Path

import pytest

from fakedet_jax import config, settings, systems
from fakedet_jax.cli import modes

PACKAGE = Path(__file__).parents[1] / "fakedet_jax"

# Of systems.
ROOMS = ("networks", "fakespotter", "exif_anomaly", "fusion")

# Rooms from the top to the ground: imports point downwards.
# The registry of systems is low, as it imports a system only on demand.
FLOORS = (
    ("cli", "__main__"),
    ("jobs", "library"),
    ("prepare", "bulk", "deployment"),
    tuple(f"systems.{room}" for room in ROOMS),
    (
        *("systems.base", "systems.identity", "systems.programs"),
        *("systems.training_run", "systems.verdict", "systems.advice"),
        *("systems.table_run", "systems.feature_cache", "systems.perturbed"),
    ),
    ("systems.features", "fusion"),
    ("workdir", "evaluation", "report", "training"),
    ("faces", "synthetic_faces"),
    ("data", "weights", "mixture"),
    ("perturb", "models"),
    ("config",),
    ("media",),
    ("systems.options", "training.recipe"),
    ("systems",),
    ("settings",),
    ("compiler",),
    ("runtime",),
    ("errors",),
)


def _modules():
    return sorted(path for path in PACKAGE.rglob("*.py"))


def _room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _strings(tree):
    """Constants that are no docstrings, with their lines."""
    docstrings = set()
    for node in ast.walk(tree):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False):
            docstrings.add(id(node.body[0].value))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            yield node.lineno, node.value


@pytest.mark.parametrize("room", sorted({_room(path) for path in _modules()}))
def test_no_string_below_the_command_line_names_a_flag(room):
    if room in ("cli", "__main__"):
        return
    flags = re.compile(r"(?<![\w-])--[a-z]")
    for path in _modules():
        if _room(path) == room:
            for line, text in _strings(ast.parse(path.read_text("utf-8"))):
                assert not flags.search(text), f"{path}:{line}: {text}"


def test_systems_are_named_in_their_rooms_and_in_the_registry_alone():
    # Programs have fusions, and so have tables of scores.
    names = "|".join(name for name in systems.names() if name != "fusion")
    # Suites bear the names of the papers that published them, and the package offers
    # the parts of systems that research code uses.
    exempt = {PACKAGE / "perturb" / "suites.py", PACKAGE / "__init__.py"}
    for path in _modules():
        if _room(path) == "systems" or path in exempt:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        for line, text in _strings(tree):
            found = re.search(rf"\b({names})\b", text)
            assert not found, f"{path}:{line}: {text}"
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                room = re.search(
                    r"systems\.(fakespotter|exif_anomaly|fusion)", node.module
                )
                assert not room, f"{path}:{node.lineno}: {node.module}"


def test_the_rooms_of_systems_do_not_know_each_other():
    for room in ROOMS:
        others = "|".join(f"systems.{other}" for other in ROOMS if other != room)
        for path in (PACKAGE / "systems" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    assert not re.search(others, node.module), f"{path}: {node.module}"


def test_config_json_is_opened_in_one_module():
    for path in _modules():
        if path == PACKAGE / "workdir.py":
            continue
        for line, text in _strings(ast.parse(path.read_text("utf-8"))):
            assert text != "config.json", f"{path}:{line}"


def test_imports_point_downwards():
    floors = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}

    def floor_of(module):
        parts = module.split(".")[1:]
        for length in (2, 1):
            if ".".join(parts[:length]) in floors:
                return floors[".".join(parts[:length])]
        return None

    wrong = []
    for path in _modules():
        relative = path.relative_to(PACKAGE).with_suffix("")
        own = floor_of(".".join(("fakedet_jax", *relative.parts)))
        if own is None:
            continue
        for module, line in _imports(path):
            level = floor_of(module)
            if level is not None and level < own:
                wrong.append(f"{relative}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def _imports(path):
    """What a module imports when it is imported, and where."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith("fakedet_jax"):
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def test_few_files_lie_loose():
    loose = [path.name for path in PACKAGE.glob("*.py")]
    assert len(loose) <= 6, loose


def test_every_package_says_what_is_public():
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent == PACKAGE:
            continue
        names = {
            target.id
            for node in ast.parse(path.read_text("utf-8")).body
            if isinstance(node, ast.Assign)
            for target in node.targets
        }
        assert "__all__" in names, path


def test_tests_mirror_the_package():
    tests = Path(__file__).parent
    for path in tests.rglob("test_*.py"):
        room = path.parent.relative_to(tests)
        assert (PACKAGE / room).is_dir(), f"{path}: there is no room {room}"


@pytest.mark.parametrize("name", systems.names())
def test_every_option_is_stored_and_compared(name, tmp_path):
    request = config.TrainConfig(workdir=tmp_path, detector=name)
    stored = settings.to_json(request)
    for leaf in settings.leaves(config.TrainConfig, {"detector": name}):
        if leaf.name in (
            "workdir",  # The folder itself may be moved.
            # What a run leaves beside its result.
            "compilation_cache_dir",
            "profile_dir",
            "profile_first_step",
            "profile_last_step",
        ):
            continue
        is_recipe = leaf.owner.__name__ == "Recipe"
        assert is_recipe or leaf.name in stored, leaf.name


def test_every_setting_has_help_and_one_type():
    for mode in modes.MODES.values():
        types = {}
        for leaf in settings.leaves(mode.settings):
            assert leaf.option.help.endswith("."), leaf
            assert len(leaf.option.help) > 10, leaf
            assert types.setdefault(leaf.name, leaf.type) == leaf.type, leaf

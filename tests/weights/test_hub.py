# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of Hugging Face: from a server on this machine, from the cache, or refused."""

import http.server
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from safetensors import numpy as safetensors

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import formats, hub

ROOT = Path(__file__).parents[2]
CONTENT = safetensors.save({"fc.weight": np.arange(4, dtype=np.float32)})
# Commits by the names of revisions.
COMMITS = {"main": "a" * 40, "v2": "b" * 40}
FILES = {("main", "model.safetensors"): CONTENT, ("v2", "in/a.bin"): CONTENT[:20]}
READ = """
import sys
from pathlib import Path
from fakedet_jax.errors import RequestError
from fakedet_jax.weights import formats
for name in sys.argv[1:]:
    try:
        print(*formats.read(Path(name)).tensors)
    except RequestError as error:
        print(error)
"""

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None,
    reason="needs huggingface_hub",
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `FILES` of the repository `us/probe` as the Hub does."""

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        content = self._answer()
        if content is not None:
            self.wfile.write(content)

    def _answer(self):
        prefix = "/us/probe/resolve/"
        revision, _, name = self.path.removeprefix(prefix).partition("/")
        if not self.path.startswith(prefix):
            return self._refuse("RepoNotFound")
        if revision not in COMMITS:
            return self._refuse("RevisionNotFound")
        content = FILES.get((revision, name))
        if content is None:
            return self._refuse("EntryNotFound", COMMITS[revision])
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMITS[revision])
        self.send_header("ETag", f'"{revision}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def _refuse(self, code, commit=""):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing is logged."""


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Reads files in a process of its own, online and then offline."""
    home = tmp_path_factory.mktemp("hub")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()

        def run(*names, offline=False):
            environment = {
                **{k: v for k, v in os.environ.items() if not k.startswith("HF_")},
                "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "HF_HOME": str(home),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_OFFLINE": str(int(offline)),
                "JAX_PLATFORMS": "cpu",
            }
            found = subprocess.run(
                [sys.executable, "-c", READ, *names],
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
            return found.stdout.splitlines()

        yield run
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def online(read):
    names = [
        "hf://us/probe/model.safetensors",
        "hf://us/probe/in/a.bin@v2",
        "hf://us/probe/gone.bin",
        "hf://us/probe/model.safetensors@gone",
        "hf://us/other/model.safetensors",
    ]
    return dict(zip(names, read(*names), strict=True))


@needs_package
def test_a_file_is_downloaded_and_read_by_our_readers(online):
    assert online["hf://us/probe/model.safetensors"] == "fc.weight"
    # Of the other revision, in a folder: the start of a file.
    assert "is a damaged or truncated" in online["hf://us/probe/in/a.bin@v2"]


@needs_package
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hf://us/probe/gone.bin", "the repository has no such file"),
        ("hf://us/probe/model.safetensors@gone", "the repository has no such revision"),
        ("hf://us/other/model.safetensors", "there is no such repository, or it is pr"),
    ],
)
def test_what_the_hub_has_not_is_told(online, name, reason):
    assert online[name].startswith(f"`weights`: '{name}' cannot be had: {reason}")


@needs_package
def test_offline_the_cache_is_read_and_nothing_else(online, read):
    names = ("hf://us/probe/model.safetensors", "hf://us/probe/other.bin")
    first, second = read(*names, offline=True)
    assert first == online[names[0]]
    assert second.startswith(f"`weights`: '{names[1]}' cannot be had: it is not in the")


def test_without_the_package_it_says_what_to_install():
    with (
        mock.patch.dict(sys.modules, {"huggingface_hub": None}),
        pytest.raises(RequestError, match=r"pip install 'fakedet-jax\[hub\]', or down"),
    ):
        formats.read(Path("hf://us/probe/model.safetensors"))


@pytest.mark.parametrize(
    "name",
    [
        "hf://us",
        "hf://us/probe",
        "hf://us/probe/../../secret",
        "hf://us/probe/a/../b",
        "hf://../probe/file",
        "hf://us/pro be/file",
        "hf://us/probe/@main",
        "hf://us/probe/file@a/../b",
        f"hf://us/probe/{'a/' * 300}file",
    ],
)
def test_what_names_no_file_is_refused(name):
    with pytest.raises(RequestError, match="`weights`: expected hf://OWNER/NAME/FILE"):
        hub.local(Path(name))


@pytest.mark.parametrize("name", ["file", "hf/us/probe/file", "/hf:/us/probe/file"])
def test_other_paths_stay_local(name):
    assert hub.local(Path(name)) == Path(name)

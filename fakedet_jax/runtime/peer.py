# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""PyTorch beside JAX: the same work, measured in turns in one process.

Each system keeps the PyTorch twins of its networks in the `torch_peer.py` of its room.
Here is what they share. PyTorch is imported when somebody asks for the comparison; it
is no part of the package's requirements.

Both sides start from uint8 pictures `[batch, height, width, 3]` that are on the device.
The twins are tuned as their users would: channels last, all cores, fused updates, and
for `torch.compile` one graph per call, with frozen weights where nothing is trained.
"""

import logging
import os
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import measurement

_LOGGER = logging.getLogger(__name__)

Results = dict[str, Any]

# How numbers are computed: the dtype of the network and the precision of its products.
FORMATS: Mapping[str, tuple[str, str]] = {
    "float32": ("float32", "float32"),
    "tf32": ("float32", "tf32"),
    "bfloat16": ("bfloat16", "float32"),
}

VARIANTS: Mapping[str, str] = {"eager": "PyTorch", "compiled": "torch.compile"}

# How a comparison shows, for each rival: name, label, unit.
_RATIOS = (
    ("images_per_second", "{}", "images/s"),
    ("ratio", "ours / {}, median of turns", "×"),
    ("ratio_lowest", "ours / {}, lowest", "×"),
    ("ratio_highest", "ours / {}, highest", "×"),
)


def rows(works: Mapping[str, str]) -> tuple[measurement.Row, ...]:
    """How the table of the benchmark shows comparisons.

    Args:
        works: What is compared, by name, with its label.
    """
    found = []
    for work, label in works.items():
        for numbers in FORMATS:
            prefix, title = _prefix(work, numbers), f"{label}, {numbers}"
            found.append(
                (f"{prefix}_ours_images_per_second", f"{title}: ours", "images/s", 1)
            )
            found += [
                (f"{prefix}_{variant}_{name}", f"{title}: {words.format(who)}", unit, 1)
                for variant, who in VARIANTS.items()
                for name, words, unit in _RATIOS
            ]
    return tuple(found)


def load() -> Any:
    """Imports PyTorch and gives it all cores.

    Returns:
        The module `torch`.

    Raises:
        RequestError: It is not installed, or does not see the device that JAX uses.
    """
    try:
        import torch
    except ImportError as error:
        raise RequestError(
            "`compare`: PyTorch cannot be imported here "
            f"({error}); install it, such as with `pip install torch`, or leave "
            "`compare` out"
        ) from error
    platform = jax.devices()[0].platform
    if platform not in ("cpu", "gpu") or (
        platform == "gpu" and not torch.cuda.is_available()
    ):
        raise RequestError(
            f"`compare`: JAX computes on {platform}, where this PyTorch "
            f"({torch.__version__}) has no device; install one for it, or set "
            "JAX_PLATFORMS=cpu to compare on CPUs"
        )
    if jax.device_count() > 1:
        raise RequestError(
            f"`compare`: expected one device, found {jax.device_count()}; make one "
            "visible, such as with CUDA_VISIBLE_DEVICES=0"
        )
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return torch


def describe(torch: Any) -> Results:
    """What the comparison was made with, for the results."""
    return {
        "torch_version": str(torch.__version__),
        "torch_num_threads": torch.get_num_threads(),
    }


def formats(dtype: str) -> list[str]:
    """The keys of `FORMATS` that are compared.

    Args:
        dtype: That was asked for; GPUs are measured in all formats.
    """
    if jax.devices()[0].platform == "gpu":
        return list(FORMATS)
    return [dtype]


def compare(
    work: str,
    numbers: str,
    calls: Mapping[str, Callable[[], Any] | None],
    *,
    batch_size: int,
    num_repeats: int,
) -> Results:
    """Measures our call and the twins' in turns.

    Args:
        work: Name of the work.
        numbers: One of `FORMATS`.
        calls: `ours`, and some of `VARIANTS`; None where one cannot run here.
        batch_size: Pictures per call.
        num_repeats: Number of turns, at least 1.

    Returns:
        Entries by the names that `rows` shows; None for a variant that cannot run.
    """
    _LOGGER.info("comparing with PyTorch: %s, %s", work, numbers)
    runnable = {name: call for name, call in calls.items() if call is not None}
    runs = measurement.runs_in_turns(runnable, num_repeats)
    prefix = _prefix(work, numbers)
    results: Results = {}
    for name in calls:
        rate = batch_size / statistics.median(runs[name]) if name in runs else None
        results[f"{prefix}_{name}_images_per_second"] = rate
        if name == "ours":
            continue
        ratios = ratios_of_turns(runs[name], runs["ours"]) if name in runs else None
        for suffix in ("ratio", "ratio_lowest", "ratio_highest"):
            results[f"{prefix}_{name}_{suffix}"] = ratios and ratios[suffix]
    return results


def ratios_of_turns(theirs: Sequence[float], ours: Sequence[float]) -> Results:
    """How many times as fast ours is, turn by turn.

    Args:
        theirs: Seconds of each of their runs.
        ours: Seconds of each of ours, in the same turns.

    Returns:
        `ratio`, the median over the turns, `ratio_lowest` and `ratio_highest`.

    >>> ratios_of_turns([2.0, 6.0, 3.0], [2.0, 2.0, 2.0])
    {'ratio': 1.5, 'ratio_lowest': 1.0, 'ratio_highest': 3.0}
    """
    ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
    return {
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
    }


class Peer:
    """PyTorch, ready to compute in one number format."""

    def __init__(self, torch: Any, numbers: str) -> None:
        """Sets PyTorch's precision of products.

        Args:
            torch: The module, of `load`.
            numbers: One of `FORMATS`.
        """
        self.torch = torch
        self.numbers = numbers
        self.device = "cuda" if jax.devices()[0].platform == "gpu" else "cpu"
        self._has_tf32 = numbers == "tf32"
        with warnings.catch_warnings():
            # PyTorch warns of its older names, which all versions understand.
            warnings.simplefilter("ignore")
            torch.set_float32_matmul_precision("high" if self._has_tf32 else "highest")
            torch.backends.cudnn.allow_tf32 = self._has_tf32
            torch.backends.cudnn.benchmark = True

    def put(self, values: np.ndarray) -> Any:
        """A tensor of an array, on the device."""
        return self.torch.from_numpy(np.array(values)).to(self.device)

    def place(self, module: Any) -> Any:
        """Puts a module on the device, its kernels channels last."""
        return module.to(self.device).to(memory_format=self.torch.channels_last)

    def autocast(self) -> Any:
        """A context in which networks compute in this format."""
        return self.torch.autocast(
            self.device,
            dtype=self.torch.bfloat16,
            enabled=self.numbers == "bfloat16",
        )

    def call(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """A call whose result can be waited for, for `measurement`."""

        def run() -> Any:
            result = function(*arguments)
            return _Running(self.torch) if self.device == "cuda" else result

        return run

    def scoring(
        self, module: Any, *arguments: Any
    ) -> dict[str, Callable[[], Any] | None]:
        """Calls of a module without gradients.

        Args:
            module: In the state of inference.
            *arguments: Of each call.

        Returns:
            A call for each of `VARIANTS`; None where it cannot run.
        """
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        frozen = self.torch.compile(module, options={"freezing": True})

        def eager(*arguments: Any) -> Any:
            with self.torch.inference_mode():
                return module(*arguments)

        def compiled(*arguments: Any) -> Any:
            # Freezing asks for this context.
            with self.torch.no_grad():
                return frozen(*arguments)

        return {
            "eager": self.call(eager, *arguments),
            "compiled": self._tried(self.call(compiled, *arguments)),
        }

    def training(
        self, make_step: Callable[[Callable[[Any], Any]], Callable[[], Any]]
    ) -> dict[str, Callable[[], Any] | None]:
        """Calls of a training step.

        Args:
            make_step: From what wraps the loss to a step with a state of its own.

        Returns:
            A call for each of `VARIANTS`; None where it cannot run.
        """
        eager, compiled = make_step(lambda loss: loss), make_step(self.torch.compile)
        return {
            "eager": self.call(eager),
            "compiled": self._tried(self.call(compiled)),
        }

    def _tried(self, call: Callable[[], Any]) -> Callable[[], Any] | None:
        """The call, if its compilation succeeds."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                jax.block_until_ready(call())
        except Exception as error:
            # Whatever the compiler, or a compiler that it needs, stumbles over.
            reason = str(error).strip().partition("\n")[0] or repr(error)
            _LOGGER.warning(
                "torch.compile does not work here and is left out (%s: %s); on CPUs it "
                "needs a C++ compiler, such as g++",
                type(error).__name__,
                reason,
            )
            return None
        return call


class _Running:
    """Work on a GPU, to be waited for like an array of JAX."""

    def __init__(self, torch: Any) -> None:
        self._event = torch.cuda.Event()
        self._event.record()

    def block_until_ready(self) -> "_Running":
        self._event.synchronize()
        return self


def preprocess(pictures: Any, preprocessing: Any) -> Any:
    """What `models.preprocessing` does, in PyTorch.

    Args:
        pictures: uint8 `[batch, height, width, 3]`.
        preprocessing: Of the network, with `bgr`, `mean` and `std`.

    Returns:
        float32 `[batch, 3, height, width]`, channels last.
    """
    # A view: the memory is channels last already.
    planes = pictures.permute(0, 3, 1, 2)
    if preprocessing.bgr:
        planes = planes.flip(1)
    values = planes.float()
    if any(preprocessing.mean):
        values = values - values.new_tensor(preprocessing.mean)[:, None, None]
    if any(std != 1 for std in preprocessing.std):
        factors = 1.0 / np.asarray(preprocessing.std, np.float32)
        values = values * values.new_tensor(factors.tolist())[:, None, None]
    return values


def copy_layer(layer: Any, variables: Mapping[str, Any], name: str) -> None:
    """Gives a layer of PyTorch the numbers of one of ours.

    Args:
        layer: Convolution, linear layer, batch normalisation or PReLU.
        variables: Of our network, arrays on the host; see `models.parameters`.
        name: Path of our layer, such as `base/conv6`.
    """
    params, statistics_ = (
        _node(variables.get(collection, {}), name)
        for collection in ("params", "batch_stats")
    )
    values = {"bias": params.get("bias")}
    if "kernel" in params:
        kernel = np.asarray(params["kernel"])
        # [height, width, in, out] → [out, in, height, width]; [in, out] → [out, in]
        values["weight"] = (
            kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        )
    elif "slope" in params:
        values["weight"] = params["slope"]
    else:
        values["weight"] = params["scale"]
        values["running_mean"], values["running_var"] = _moments(statistics_)
    for key, value in values.items():
        if value is not None:
            target = getattr(layer, key).data
            target.copy_(target.new_tensor(np.array(value, np.float32)))


def _moments(found: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of a normalisation, also of Caffe's sums."""
    if "mean" in found:
        return np.asarray(found["mean"]), np.asarray(found["var"])
    weight = float(found["weight"])
    per_weight = 1.0 / weight if weight > 0 else 0.0
    return (
        np.asarray(found["mean_sum"]) * per_weight,
        np.asarray(found["var_sum"]) * per_weight,
    )


def _node(tree: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    for part in path.split("/"):
        tree = tree.get(part, {})
    return tree


def _prefix(work: str, numbers: str) -> str:
    return f"torch_{work}_{numbers}"

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The network that features are extracted with: of a workdir, or a backbone."""

import dataclasses
from collections.abc import Mapping

from jax.sharding import Mesh

from fakedet_jax import systems
from fakedet_jax.config import DataConfig, ExtractConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.systems.features import FeatureFn
from fakedet_jax.workdir import Workdir, open_workdir


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that features come from.

    Attributes:
        framing: Framing of its input.
        feature: The feature that was asked for.
        workdir: Of its training; None for a backbone.
    """

    framing: Framing
    feature: FeatureFn
    workdir: Workdir | None = None

    @property
    def training_data(self) -> DataConfig | None:
        """The pictures it was trained on, None where nobody knows."""
        return None if self.workdir is None else self.workdir.data


def open_network(config: ExtractConfig, mesh: Mesh) -> Network:
    """Loads the network that the asked feature comes from.

    Args:
        config: The settings.
        mesh: The devices.

    Raises:
        RequestError: The settings or the network are not as expected.
    """
    features: Mapping[str, FeatureFn]
    if config.count is not None:
        if config.workdir is not None:
            raise RequestError(
                "`workdir`, `backbone`: the network comes from one of them; leave the "
                "other out"
            )
        framing, features = systems.open_backbone(config.count, mesh)
        source, workdir = f"the backbone {config.count.backbone}", None
    elif config.workdir is not None:
        workdir = open_workdir(config.workdir)
        fitted = workdir.system().load(workdir, mesh)
        framing, features = fitted.info.framing, fitted.features
        source = f"the detector {workdir.title!r} of `workdir`"
    else:
        raise RequestError(
            f"`workdir`: `features={config.features}` needs the workdir of a detector, "
            "or `backbone` and `weights`, found none"
        )
    if config.features not in features:
        raise RequestError(
            f"`features`: {source} has no {config.features}, only "
            f"{', '.join(features) or 'scores'}; name another detector"
        )
    if config.thresholds is not None and config.features != "coverage":
        raise RequestError(
            f"`thresholds`: `features={config.features}` counts nothing; leave it out"
        )
    return Network(framing, features[config.features], workdir)

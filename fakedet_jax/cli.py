# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line: absl flags in, one frozen dataclass out, one job called.

The only module that knows flags. Exit codes: 0 done; 1 the run failed; 2 the request
was wrong; 128 + n stopped by signal n after saving.
"""

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags
from absl import logging as absl_logging

from fakedet_jax import config
from fakedet_jax.errors import RequestError
from fakedet_jax.signals import Stopped

FLAGS = flags.FLAGS

_RECIPE_FLAGS = (
    "optimizer",
    "learning_rate",
    "schedule",
    "decay_steps",
    "decay_factor",
    "momentum",
    "weight_decay",
    "batch_size",
    "num_epochs",
    "decay_per_step",
    "dampening",
)


def define_flags() -> None:
    """Defines the flags of all modes, once."""
    if "mode" in FLAGS:
        return
    flags.DEFINE_enum("mode", None, list(_MODES), "What to do.")
    flags.DEFINE_string("workdir", None, "Folder of a training run.")
    flags.DEFINE_string("detector", "amtennet", "Detector to train or to measure.")
    # The pictures
    flags.DEFINE_string("dataset", None, "synthetic_faces, or folder for one's own.")
    flags.DEFINE_string("data_dir", None, "Where the dataset lies.")
    flags.DEFINE_list("real_classes", [], "Class folders that are real by any name.")
    flags.DEFINE_string("task", None, "multiclass (default), or binary: real or fake.")
    flags.DEFINE_float(
        "validation_fraction",
        0.05,
        "Part of train held out where there is no validation folder.",
    )
    flags.DEFINE_string("split", "test", "train, validation, test or all.")
    flags.DEFINE_integer(
        "num_workers", 0, "Reading processes; 0 reads in threads.", lower_bound=0
    )
    flags.DEFINE_integer(
        "num_threads", 8, "Decoding threads in each process.", lower_bound=1
    )
    # Training; what is not given is as the detector's authors did it.
    flags.DEFINE_string("optimizer", None, "caffe_sgd, sgd, torch_sgd or adam.")
    flags.DEFINE_float("learning_rate", None, "Base learning rate.")
    flags.DEFINE_string("schedule", None, "step, cosine, time_decay or constant.")
    flags.DEFINE_integer(
        "decay_steps", None, "Steps between decays of --schedule=step."
    )
    flags.DEFINE_float("decay_factor", None, "Factor of each decay.")
    flags.DEFINE_float(
        "decay_per_step", None, "What a step of --schedule=time_decay adds to 1."
    )
    flags.DEFINE_float("momentum", None, "Momentum, of all optimizers but adam.")
    flags.DEFINE_float("dampening", None, "Dampening of torch_sgd.")
    flags.DEFINE_float("weight_decay", None, "Weight decay.")
    flags.DEFINE_integer("batch_size", None, "Pictures per step, over all devices.")
    flags.DEFINE_integer("num_epochs", None, "Passes over the training pictures.")
    flags.DEFINE_integer("seed", 0, "Of every random choice.")
    flags.DEFINE_bool("flip", True, "Mirror training pictures at random.")
    flags.DEFINE_string("dtype", "float32", "float32 or bfloat16.")
    flags.DEFINE_float(
        "batch_norm_fraction",
        None,
        "What the running statistics keep at a step; less for short runs.",
    )
    flags.DEFINE_integer("num_microbatches", 1, "Parts of a batch, to save memory.")
    flags.DEFINE_string("select_by", "accuracy", "Best by accuracy, auc or loss.")
    flags.DEFINE_integer("log_every", 20, "Steps between transfers of the metrics.")
    flags.DEFINE_integer("checkpoint_every", 200, "Steps between checkpoints.")
    # Recognition networks and published weights
    flags.DEFINE_string("backbone", None, "Recognition network to look at.")
    flags.DEFINE_string(
        "weights", None, "Published weight file, or folder that convert wrote."
    )
    flags.DEFINE_string("model", None, "Network that convert reads weights for.")
    flags.DEFINE_list("ignore", [], "Arrays that may differ; names or patterns.")
    flags.DEFINE_string("neuron", "unit", "What is counted: unit or channel.")
    flags.DEFINE_string("site", "layer", "Where it is counted: layer or activation.")
    flags.DEFINE_list("widths", None, "Hidden layers of the counts' classifier.")
    flags.DEFINE_string("cache_dir", None, "Where counts are kept.")
    flags.DEFINE_string(
        "thresholds", None, ".npz with thresholds, such as a features.npz."
    )
    # Several processes
    flags.DEFINE_bool("distributed", False, "Join the processes of a cluster.")
    flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0.")
    flags.DEFINE_integer("num_processes", None, "Number of processes.")
    flags.DEFINE_integer("process_id", None, "Number of this process, from 0.")
    # Results
    flags.DEFINE_string("name", "", "Name of the evaluation; dataset_split by default.")
    flags.DEFINE_string(
        "output", None, "predict: CSV; extract: folder; benchmark: JSON."
    )
    flags.DEFINE_string(
        "features", "traces", "What to extract: traces, coverage or embedding."
    )
    flags.DEFINE_string("suite", "", "Robustness suite to evaluate: fakespotter.")
    flags.DEFINE_list("names", [], "What compare calls the runs.")
    flags.DEFINE_integer("num_per_class", 4, "Pictures that export writes of a class.")
    flags.DEFINE_integer("num_figures", 4, "Pictures whose traces extract draws.")
    flags.DEFINE_integer("num_repeats", 5, "Runs of each measurement of benchmark.")


def run() -> None:
    """Runs the command line and exits."""
    define_flags()
    app.run(_main, flags_parser=_parse)


def execute(mode: str | None, paths: Sequence[str]) -> None:
    """Calls the job of a mode with what the flags say.

    Raises:
        RequestError: The request is wrong.
    """
    if mode is None:
        raise RequestError(f"--mode: expected one of {', '.join(_MODES)}, found none")
    if paths and mode not in ("predict", "extract", "compare"):
        raise RequestError(
            f"--mode={mode} takes no files, found {paths[0]!r}; flags are written "
            "--name=value"
        )
    cluster = (FLAGS.coordinator_address, FLAGS.num_processes, FLAGS.process_id)
    if FLAGS.distributed or cluster != (None, None, None):
        from fakedet_jax import parallel

        parallel.initialize(*cluster)
    _MODES[mode](tuple(paths))


def _parse(arguments: Sequence[str]) -> list[str]:
    # absl shows with --help the flags of the file that was started.
    for flag in FLAGS.flags_by_module_dict()[__name__]:
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    try:
        return FLAGS(list(arguments))
    except SystemExit:
        sys.exit(0)  # Help was asked for and shown.
    except flags.Error as error:
        # absl would print all flags; the message says which one it is.
        _exit(f"{error}; see --help", 2)


def _main(arguments: Sequence[str]) -> None:
    _set_up_logging()
    try:
        execute(FLAGS.mode, arguments[1:])
    except RequestError as error:
        _exit(str(error), 2)
    except Stopped as stopped:
        _exit(f"{stopped}; run the same command again to go on", 128 + stopped.signum)
    except KeyboardInterrupt:
        _exit("interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        sys.stderr.close()
        sys.exit(1)
    except (OSError, RuntimeError, MemoryError) as error:
        logging.getLogger(__name__).debug("failed", exc_info=True)
        _exit(str(error) or repr(error), 1)


def _set_up_logging() -> None:
    """Plain lines on standard error; other packages raise what matters."""
    if not FLAGS["verbosity"].present:
        # Orbax warns at every restart of things that are as they should be. What fails
        # in its threads is raised where they are waited for, and has echoes that would
        # bury the line that says what to do.
        absl_logging.set_verbosity(absl_logging.FATAL)
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        sys.unraisablehook = lambda unraisable: None
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("fakedet_jax")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _exit(message: str, code: int) -> NoReturn:
    print(f"fakedet: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def _train(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import train

    del paths
    train.train(
        config.TrainConfig(
            detector=FLAGS.detector,
            workdir=_workdir(),
            data=_data() or config.DataConfig(),
            input=_input(),
            recipe=_given(*_RECIPE_FLAGS),
            weights=_path("weights"),
            cache_dir=_path("cache_dir"),
            **_widths(),
            **_given(
                "seed",
                "flip",
                "dtype",
                "batch_norm_fraction",
                "num_microbatches",
                "select_by",
                "log_every",
                "checkpoint_every",
                "backbone",
                "neuron",
                "site",
            ),
        )
    )


def _evaluate(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import evaluate, robustness
    from fakedet_jax.report.robustness import robustness_table

    del paths
    request = config.EvaluateConfig(
        workdir=_workdir(),
        data=_data(),
        input=_input(),
        split=FLAGS.split,
        name=FLAGS.name,
        suite=FLAGS.suite,
        **_given("batch_size"),
    )
    if request.suite:
        print(robustness_table(robustness.evaluate_suite(request)))
        return
    summary = evaluate.evaluate(request)
    for name, value in summary.items():
        if isinstance(value, float):
            print(f"{name:20s} {value:.4f}")
        elif not isinstance(value, list):
            print(f"{name:20s} {value}")


def _predict(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import predict

    predict.predict(
        config.PredictConfig(
            workdir=_workdir(),
            paths=paths,
            output=_output(),
            num_threads=FLAGS.num_threads,
            **_given("batch_size"),
        )
    )


def _export(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import export

    del paths
    export.export(
        config.ExportConfig(
            output=_output_folder(),
            data=_data() or config.DataConfig(),
            split=FLAGS.split,
            num_per_class=FLAGS.num_per_class,
        )
    )


def _extract(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import extract

    extract.extract(
        config.ExtractConfig(
            features=FLAGS.features,
            output=_output_folder(),
            workdir=_path("workdir"),
            weights=_path("weights"),
            thresholds=_path("thresholds"),
            data=_data(),
            input=_input(),
            split=FLAGS.split,
            paths=paths,
            num_figures=FLAGS.num_figures,
            **_given("batch_size", "backbone", "neuron", "site", "dtype"),
        )
    )


def _benchmark(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import benchmark

    del paths
    results = benchmark.benchmark(
        config.BenchmarkConfig(
            detector=FLAGS.detector,
            data=_data(),
            input=_input(),
            num_repeats=FLAGS.num_repeats,
            dtype=FLAGS.dtype,
            output=_output(),
            workdir=_path("workdir"),
            weights=_path("weights"),
            **_given("batch_size", "backbone", "neuron", "site"),
        )
    )
    print(benchmark.to_table(results))


def _convert(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import convert

    del paths
    weights = _path("weights")
    if weights is None or not FLAGS.model:
        raise RequestError(
            "--mode=convert needs --model=NAME and --weights=FILE, found "
            f"--model={FLAGS.model or ''} --weights={FLAGS.weights or ''}"
        )
    result = convert.convert(
        config.ConvertConfig(
            model=FLAGS.model,
            weights=weights,
            output=_output_folder(),
            ignore=tuple(FLAGS.ignore),
        )
    )
    print(convert.to_text(result))


def _compare(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import compare

    print(
        compare.compare(
            config.CompareConfig(
                paths=paths, output=_output_folder(), names=tuple(FLAGS.names)
            )
        )
    )


_MODES: dict[str, Callable[[tuple[str, ...]], None]] = {
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "export": _export,
    "extract": _extract,
    "convert": _convert,
    "compare": _compare,
    "benchmark": _benchmark,
}


def _workdir() -> Path:
    if not FLAGS.workdir:
        raise RequestError(f"--workdir: --mode={FLAGS.mode} needs a folder, found none")
    return Path(FLAGS.workdir)


def _output() -> Path | None:
    return _path("output")


def _path(name: str) -> Path | None:
    value = FLAGS[name].value
    return Path(value) if value else None


def _widths() -> dict[str, Any]:
    if FLAGS.widths is None:
        return {}
    try:
        return {"widths": tuple(int(width) for width in FLAGS.widths)}
    except ValueError as error:
        raise RequestError(
            "--widths: expected whole numbers with commas between them, found "
            f"{','.join(FLAGS.widths)!r}"
        ) from error


def _output_folder() -> Path:
    output = _output()
    if output is None:
        raise RequestError(f"--output: --mode={FLAGS.mode} needs a folder, found none")
    return output


def _data() -> config.DataConfig | None:
    """The pictures, None where no flag says anything of them."""
    names = ("dataset", "data_dir", "real_classes", "task", "validation_fraction")
    if not any(FLAGS[name].present for name in names):
        return None
    if not (FLAGS.dataset or FLAGS.data_dir) and FLAGS.mode in ("evaluate", "extract"):
        given = next(name for name in names if FLAGS[name].present)
        raise RequestError(
            f"--{given}: give --dataset or --data_dir too; without them the pictures "
            "are those that the detector was trained on, in their classes"
        )
    default = config.DataConfig()
    # Who names a folder and nothing else has pictures of their own in it.
    by_folder = "folder" if FLAGS.data_dir else default.dataset
    return config.DataConfig(
        dataset=FLAGS.dataset or by_folder,
        data_dir=Path(FLAGS.data_dir) if FLAGS.data_dir else None,
        real_classes=tuple(FLAGS.real_classes),
        task=FLAGS.task or default.task,
        validation_fraction=FLAGS.validation_fraction,
    )


def _input() -> config.InputConfig:
    return config.InputConfig(
        num_workers=FLAGS.num_workers, num_threads=FLAGS.num_threads
    )


def _given(*names: str) -> dict[str, Any]:
    """Flags that were given, as arguments of the same names."""
    values = {name: FLAGS[name].value for name in names}
    return {name: value for name, value in values.items() if value is not None}

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The modes of the command line: flags in, one frozen dataclass out, one job called."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from fakedet_jax import config
from fakedet_jax.cli import heard
from fakedet_jax.errors import RequestError

FLAGS = flags.FLAGS


def _train(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import train

    del paths
    train.train(
        config.TrainConfig(
            detector=FLAGS.detector,
            workdir=_workdir(),
            data=_data() or config.DataConfig(),
            input=_input(),
            recipe=_given(*heard.RECIPE_FLAGS),
            weights=_path("weights"),
            cache_dir=_path("cache_dir"),
            pretrained=_path("pretrained"),
            **_numbers("widths"),
            **_numbers("num_components"),
            **_given("seed", *heard.RUN_FLAGS),
            perturb=tuple(FLAGS.perturb),
        )
    )


def _evaluate(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import cross_dataset, evaluate, robustness
    from fakedet_jax.report import evaluation_table
    from fakedet_jax.report.robustness import robustness_table

    del paths
    if FLAGS.scores:
        print(robustness_table(_evaluate_foreign()))
        return
    if len(FLAGS.perturb) > 1:
        raise RequestError(
            "--perturb: --mode=evaluate takes one, found "
            f"{','.join(FLAGS.perturb)}; evaluate once for each"
        )
    request = config.EvaluateConfig(
        workdir=_workdir(),
        data=_data(),
        input=_input(),
        split=FLAGS.split,
        name=FLAGS.name,
        datasets=tuple(FLAGS.datasets),
        num_resamples=FLAGS.num_resamples,
        suite=FLAGS.suite,
        perturb="".join(FLAGS.perturb),
        seed=FLAGS.seed,
        **_given("batch_size"),
    )
    if request.datasets:
        compared = cross_dataset.evaluate_datasets(request)
        if compared:  # Only the first of several processes has something to tell.
            print(cross_dataset.cross_dataset_table(compared))
            cross_dataset.check_complete(compared)
        return
    if request.suite:
        print(robustness_table(robustness.evaluate_suite(request)))
        return
    if summary := evaluate.evaluate(request):
        print(evaluation_table(summary))


def _evaluate_foreign() -> dict[str, Any]:
    from fakedet_jax.evaluation import foreign_scores

    pictures = _path("pictures")
    if pictures is None or not FLAGS.suite:
        raise RequestError(
            "--scores needs --suite=NAME and --pictures=FOLDER that --mode=export "
            "wrote for it"
        )
    return foreign_scores.evaluate_foreign(
        config.ForeignScoresConfig(
            scores=Path(FLAGS.scores),
            suite=FLAGS.suite,
            pictures=pictures,
            output=_output_folder(),
            name=FLAGS.name,
        )
    )


def _predict(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import predict

    predict.predict(
        config.PredictConfig(
            workdir=_workdir(),
            paths=paths,
            output=_output(),
            **_faces_of_files(),
            frame_scores=_path("frame_scores"),
            annotated=_path("annotated"),
            num_threads=FLAGS.num_threads,
            **_given("batch_size"),
        )
    )


def _prepare(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import prepare

    del paths
    options = _given(*heard.LAYOUT_FLAGS)
    summary = prepare.prepare(
        config.PrepareConfig(
            output=_output_folder(),
            data=_data() or config.DataConfig("folder"),
            faces=_faces(),
            frames=_frames(),
            split_by=FLAGS.split_by,
            layout_options=options,
            compress=FLAGS.compress,
            num_workers=FLAGS.num_workers if _is_given("num_workers") else None,
            seed=FLAGS.seed,
            beam_pipeline_options=tuple(FLAGS.beam_pipeline_options),
            tags=_path("tags"),
        )
    )
    print(prepare.to_text(summary))


def _export(paths: tuple[str, ...]) -> None:
    from fakedet_jax.jobs import export

    del paths
    export.export(
        config.ExportConfig(
            output=_output_folder(),
            data=_data() or config.DataConfig(),
            split=FLAGS.split,
            suite=FLAGS.suite,
            **_num_per_class(),
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
            **_faces_of_files(),
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
            face_detector_model=_path("face_detector_model"),
            **_given("batch_size", "backbone", "neuron", "site", "embedder"),
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
            amten_variant=FLAGS.amten_variant,
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


def _study(paths: tuple[str, ...]) -> None:
    from fakedet_jax.cli.studies import run as study
    from fakedet_jax.report.study import study_table

    if len(paths) != 1:
        raise RequestError(
            "--mode=study takes one file, such as "
            f"experiments/tables/amten_table5.json, found {len(paths)}"
        )
    request = config.StudyConfig(
        study=Path(paths[0]),
        output=_output_folder(),
        seeds=_whole_numbers("seeds"),
        overrides=_overrides(),
        # Without a dataset, each run is tested on what it was trained on.
        data=_data() if FLAGS.dataset or FLAGS.data_dir else None,
        input=_input(),
    )
    try:
        summary = study.run_study(request, known_flags=heard.HEARD["train"])
    except study.StudyFailedError as error:
        print(study_table(error.summary))
        raise
    print(study_table(summary))


MODES: dict[str, Callable[[tuple[str, ...]], None]] = {
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "prepare": _prepare,
    "export": _export,
    "extract": _extract,
    "convert": _convert,
    "compare": _compare,
    "study": _study,
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


def _numbers(name: str) -> dict[str, Any]:
    return {} if FLAGS[name].value is None else {name: _whole_numbers(name)}


def _whole_numbers(name: str) -> tuple[int, ...]:
    values: list[str] = FLAGS[name].value or []
    try:
        return tuple(int(value) for value in values)
    except ValueError as error:
        raise RequestError(
            f"--{name}: expected whole numbers with commas between them, found "
            f"{','.join(values)!r}"
        ) from error


def _num_per_class() -> dict[str, Any]:
    """A suite is scored on all pictures; to look at, a few of each class do."""
    number = FLAGS.num_per_class
    if number is None:
        return {"num_per_class": None} if FLAGS.suite else {}
    return {"num_per_class": number}


def _overrides() -> tuple[str, ...]:
    """The given flags of a study's trainings; `_input` has how they read pictures."""
    names = [name for name in heard.TRAIN_FLAGS if name not in heard.INPUT_FLAGS]
    return tuple(FLAGS[name].serialize() for name in names if FLAGS[name].present)


def _output_folder() -> Path:
    output = _output()
    if output is None:
        raise RequestError(f"--output: --mode={FLAGS.mode} needs a folder, found none")
    return output


def _data() -> config.DataConfig | None:
    """The pictures, None where no flag says anything of them."""
    names = heard.DATA_FLAGS
    if not _is_given(*names):
        return None
    if not (FLAGS.dataset or FLAGS.data_dir) and FLAGS.mode in ("evaluate", "extract"):
        given = next(name for name in names if FLAGS[name].present)
        raise RequestError(
            f"--{given}: give --dataset or --data_dir too; without them the pictures "
            "are those that the detector was trained on, in their classes"
        )
    default = config.DataConfig()
    if FLAGS.mode == "prepare":
        default = dataclasses.replace(default, dataset="folder")
    # Who names a folder and nothing else has pictures of their own in it.
    by_folder = "folder" if FLAGS.data_dir else default.dataset
    return config.DataConfig(
        dataset=FLAGS.dataset or by_folder,
        data_dir=_data_dir(),
        real_classes=tuple(FLAGS.real_classes),
        task=FLAGS.task or default.task,
        validation_fraction=FLAGS.validation_fraction,
        num_identities=FLAGS.num_identities,
    )


def _data_dir() -> Path | None:
    """The data folder; one in a bucket is copied to the user's cache first."""
    if not FLAGS.data_dir:
        return None
    if "://" not in FLAGS.data_dir:
        return Path(FLAGS.data_dir)
    if FLAGS.mode == "prepare":
        raise RequestError(
            f"--data_dir: the originals must lie on a file system, found "
            f"{FLAGS.data_dir!r}; mount the bucket, such as with gcsfuse"
        )
    # TFDS takes a second to import; only who asks for a bucket waits.
    from fakedet_jax.data import prepared

    return prepared.localise(FLAGS.data_dir)


def _faces() -> config.FaceConfig:
    return config.FaceConfig(
        detector=FLAGS.face_detector or "",
        model=_path("face_detector_model"),
        boxes=_path("face_boxes"),
        min_score=FLAGS.face_min_score,
        scale=FLAGS.face_scale,
        align=FLAGS.align,
        all_faces=FLAGS.all_faces,
        size=FLAGS.size,
    )


def _faces_of_files() -> dict[str, Any]:
    """How a trained network is to find faces; by default as for its training."""
    if not FLAGS.face_detector:
        for name in heard.FACE_FLAGS:
            if FLAGS[name].present and name not in heard.FOLLOWING_FACE_FLAGS:
                raise RequestError(
                    f"--{name}: give --face_detector too; without it faces are found "
                    "and cut out as they were for the training"
                )
    return {
        "faces": _faces() if FLAGS.face_detector else None,
        "face_detector_model": _path("face_detector_model"),
        "all_faces": FLAGS.all_faces,
        "frames": _frames() if _is_given(*heard.FRAME_FLAGS) else None,
    }


def _frames() -> config.FrameConfig:
    if all(_is_given(name) for name in heard.FRAME_FLAGS):
        raise RequestError(
            "--frames_per_video and --frame_step say different things; give one"
        )
    return config.FrameConfig(**_given(*heard.FRAME_FLAGS))


def _input() -> config.InputConfig:
    return config.InputConfig(
        num_workers=FLAGS.num_workers, num_threads=FLAGS.num_threads
    )


def _is_given(*names: str) -> bool:
    return any(FLAGS[name].present for name in names)


def _given(*names: str) -> dict[str, Any]:
    """Flags that were given, as arguments of the same names."""
    values = {name: FLAGS[name].value for name in names}
    return {name: value for name, value in values.items() if value is not None}

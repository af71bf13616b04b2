# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The flags of the command line: names, defaults and one line of help each."""

from collections.abc import Sequence

from absl import flags

FLAGS = flags.FLAGS


def define_flags(modes: Sequence[str]) -> None:
    """Defines the flags of all modes, once.

    Args:
        modes: The values of `--mode`.
    """
    if "mode" in FLAGS:
        return
    flags.DEFINE_enum("mode", None, list(modes), "What to do.")
    flags.DEFINE_string("workdir", None, "Folder of a training run.")
    flags.DEFINE_string(
        "detector", "amtennet", "Detector to train or to measure; see README."
    )
    # The pictures
    flags.DEFINE_string(
        "dataset",
        None,
        "synthetic_faces, folder for one's own, or a published one; see README.",
    )
    flags.DEFINE_string("data_dir", None, "Where the dataset lies.")
    flags.DEFINE_list("real_classes", [], "Class folders that are real by any name.")
    flags.DEFINE_string("task", None, "multiclass (default), or binary: real or fake.")
    flags.DEFINE_float(
        "validation_fraction",
        0.05,
        "Part of train held out where there is no validation folder.",
    )
    flags.DEFINE_integer(
        "num_identities",
        None,
        "Of synthetic_faces: people, 400; those beyond are for training.",
    )
    flags.DEFINE_string("split", "test", "train, validation, test or all.")
    flags.DEFINE_list(
        "datasets", [], "Evaluate on several: DIR or NAME=DIR, with one table."
    )
    flags.DEFINE_integer(
        "num_workers",
        0,
        "Reading processes; 0 reads in threads. prepare: working processes, one per "
        "core by default.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "num_threads", 8, "Decoding threads in each process.", lower_bound=1
    )
    # Faces and frames; predict follows the training unless they are given
    flags.DEFINE_string(
        "face_detector", None, "How faces are found: none, haar, yunet or boxes."
    )
    flags.DEFINE_string("face_detector_model", None, "ONNX file of yunet.")
    flags.DEFINE_string("face_boxes", None, "CSV file with the faces, for boxes.")
    flags.DEFINE_float("face_min_score", None, "Least score of a face, of yunet.")
    flags.DEFINE_float(
        "face_scale", None, "Side of a crop to the longer side of the box: 1.3."
    )
    flags.DEFINE_bool("align", False, "Bring eyes and mouth to fixed places.")
    flags.DEFINE_bool("all_faces", False, "Take all faces, not only the largest.")
    flags.DEFINE_integer("size", None, "Side of the crops; as they are without it.")
    flags.DEFINE_integer("frames_per_video", None, "Evenly spaced frames: 32.")
    flags.DEFINE_integer("frame_step", None, "Every n-th frame of a video instead.")
    # Layouts of datasets
    flags.DEFINE_list("qualities", None, "Of faceforensics: raw, c23 or c40.")
    flags.DEFINE_list("methods", None, "Of faceforensics: all that are there.")
    flags.DEFINE_string(
        "labels", None, "Of folder: CSV file with path,label instead of class folders."
    )
    flags.DEFINE_string(
        "tags",
        None,
        "CSV file with path,iso,aperture,exposure_time,focal_length, for photographs "
        "that lost their EXIF data.",
    )
    flags.DEFINE_string(
        "split_by", "official", "official, identity, or frames of each video."
    )
    flags.DEFINE_integer("source_size", None, "Of ffhq and fdf: width of the files.")
    flags.DEFINE_string(
        "held_out_as",
        None,
        "Of ffhq and fdf: what is held out is for validation or test.",
    )
    flags.DEFINE_list(
        "beam_pipeline_options",
        [],
        "Of Apache Beam, which then finds the faces, such as runner=DirectRunner; see "
        "experiments/DATASETS.md.",
    )
    flags.DEFINE_bool("compress", False, "Smaller crops, which are read more slowly.")
    # Training; what is not given is as the detector's authors did it.
    flags.DEFINE_string(
        "optimizer", None, "caffe_sgd, sgd, torch_sgd, adam or torch_adam."
    )
    flags.DEFINE_float("learning_rate", None, "Base learning rate.")
    flags.DEFINE_string("schedule", None, "step, cosine, time_decay or constant.")
    flags.DEFINE_integer(
        "decay_steps", None, "Steps between decays of --schedule=step."
    )
    flags.DEFINE_float("decay_factor", None, "Factor of each decay.")
    flags.DEFINE_float(
        "decay_per_step", None, "What a step of --schedule=time_decay adds to 1."
    )
    flags.DEFINE_float("final_learning_rate", None, "Where --schedule=cosine ends.")
    flags.DEFINE_float("momentum", None, "Momentum, of all optimizers but Adam's.")
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
    # AMTENnet's ablations and residual layers; post-processing
    flags.DEFINE_string(
        "amten_variant", None, "amten_1 ... amten_6, amtennet_7, _8 or model_base."
    )
    flags.DEFINE_string(
        "residual", None, "In AMTEN's place: hand_crafted, srm or constrained."
    )
    flags.DEFINE_list(
        "perturb", [], "none, OPERATION:STRENGTH, OPERATION:mix or mix; see README."
    )
    flags.DEFINE_float(
        "perturb_copies",
        None,
        "Post-process once and for all, so many copies; anew in each epoch without.",
    )
    # Embeddings of photographs and their mixture
    flags.DEFINE_string("embedder", None, "Of exif_anomaly: resnet50 or small.")
    flags.DEFINE_bool(
        "paired", False, "Train on each photograph beside its manipulated self."
    )
    flags.DEFINE_float(
        "manipulated_weight", 1.0, "Of the loss of manipulated faces; 1 as published."
    )
    flags.DEFINE_string(
        "pretrained", None, "Workdir of an exif_anomaly whose embedding is taken."
    )
    flags.DEFINE_string(
        "covariance", "full", "Of components: full, tied, diagonal or spherical."
    )
    flags.DEFINE_list(
        "num_components", None, "Of the mixture: 12; of several numbers BIC takes one."
    )
    flags.DEFINE_integer("num_restarts", 1, "Starts of the mixture; the best counts.")
    flags.DEFINE_float(
        "reg_covar", 1e-3, "Added to variances, as a share of their mean."
    )
    flags.DEFINE_float(
        "false_alarm_rate", 0.05, "Share of held-out photographs to be called fake."
    )
    # Recognition networks and published weights
    flags.DEFINE_string("backbone", None, "Recognition network to look at.")
    flags.DEFINE_string(
        "weights", None, "Published weight file, or folder that convert wrote."
    )
    flags.DEFINE_string("model", None, "Network or detector to convert; see README.")
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
        "output", None, "predict: CSV; benchmark: JSON; other modes: folder."
    )
    flags.DEFINE_string("frame_scores", None, "CSV file for the scores of frames.")
    flags.DEFINE_string("annotated", None, "Folder for copies with boxes and scores.")
    flags.DEFINE_integer(
        "num_resamples",
        1000,
        "Bootstrap samples of confidence intervals; 0 for none.",
        lower_bound=0,
    )
    flags.DEFINE_string(
        "features", "traces", "What to extract: traces, coverage or embedding."
    )
    flags.DEFINE_string("suite", "", "Robustness suite: fakespotter or amten.")
    flags.DEFINE_string(
        "scores", None, "CSV of another detector's scores, for --suite."
    )
    flags.DEFINE_string(
        "pictures", None, "Folder that export wrote for --suite, for --scores."
    )
    flags.DEFINE_list("seeds", ["0"], "Seeds of the trainings of a study.")
    flags.DEFINE_list("names", [], "What compare calls the runs.")
    flags.DEFINE_integer(
        "num_per_class",
        None,
        "Pictures that export writes of a class: 4, or all for a suite.",
    )
    flags.DEFINE_integer("num_figures", 4, "Pictures whose traces extract draws.")
    flags.DEFINE_integer("num_repeats", 5, "Runs of each measurement of benchmark.")

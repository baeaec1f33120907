"""Parameters and restrictions that several models share."""

from typing import Tuple

from configs import restrictions
from configs.keys import (
  COUNT,
  COUNT_FROM_0,
  EACH_FROM_0,
  FROM_0,
  INT,
  LIST,
  POSITIVE,
  POSITIVE_LIST,
  POSITIVE_SHARE,
  RATE,
  SHARE,
  SIZE,
  TEXT,
  TEXT_OR_LIST,
  Key,
  Values,
  block,
)

# The background, and something to detect.
_CLASSES = Values('int', 'at least 2', lambda x: x >= 2)
# The stem that undoes it has a stride of 2.
_BLOCK = Values('int', '1 or 2', lambda x: x in (1, 2))

# Names of the variables of a ResNet up to level 2.
RESNET_STEM = (
  r'(resnet\d+)\/(conv2d(|_([1-9]|10))|batch_normalization(|_([1-9]|10)))\/'
)

_PLATFORM = block(
  'platform',
  Key('tpu', None, 'TPU name or grpc:// address', TEXT),
  Key('tpu_zone', None, "the TPU's zone", TEXT),
  Key('gcp_project', None, "the TPU's project", TEXT),
  Key('eval_master', None, 'TPU that evaluates, or local = this CPU', TEXT),
  Key('configure_tpu_version', False, 'set it to TensorFlow 1.15; restarts it'),
)

RUN = (
  Key('model_dir', '', 'output directory'),
  Key('use_tpu', True, 'off unless a file or flag sets it', null=True),
  Key('isolate_session_state', False, 'option of sessions'),
  Key('enable_summary', False, 'training scalars; by default without TPU'),
  Key('tpu_job_name', None, "name of the TPU worker's job", TEXT),
  *_PLATFORM,
)

ARCHITECTURE = block(
  'architecture',
  Key(
    'backbone',
    'resnet',
    'resnet, spinenet, spinenet_mbconv, efficientnet-b0 to -b8, -l2',
  ),
  Key('min_level', 3, 'lowest level; stride 2^level pixels', COUNT_FROM_0),
  Key('max_level', 7, 'highest pyramid level', COUNT_FROM_0),
  Key('num_classes', 91, 'classes, with the background as 0', _CLASSES),
  Key('use_bfloat16', True, 'bfloat16 images and activations'),
  Key('space_to_depth_block_size', 1, '2: blocks become channels', _BLOCK),
  Key(
    'pre_parser',
    None,
    'only two-stage masks have one: extract_objects_parser',
    TEXT,
    no_effect=True,
  ),
)

ANCHOR = block(
  'anchor',
  Key('num_scales', 3, 'octave scales per level', COUNT),
  Key('aspect_ratios', [1.0, 2.0, 0.5], 'width / height', POSITIVE_LIST),
  Key('anchor_size', 4.0, 'base side of an anchor (strides)', POSITIVE),
)

BATCH_NORM_ACTIVATION = block(
  'batch_norm_activation',
  Key('batch_norm_momentum', 0.997, 'decay of the moving averages', SHARE),
  Key('batch_norm_epsilon', 1e-4, 'added to variance', FROM_0),
  Key('batch_norm_trainable', True, 'whether gamma and beta are trained'),
  Key('use_sync_bn', False, 'statistics of all GPUs, or over 8 TPU replicas'),
  Key('activation', 'relu', 'relu or swish, whole model'),
)

DROPBLOCK = block(
  'dropblock',
  Key('dropblock_keep_prob', None, 'kept share; null = off', POSITIVE_SHARE),
  Key('dropblock_size', None, 'block side; null = off', COUNT),
)

_DROP_CONNECT = Key(
  'init_drop_connect_rate',
  None,
  'stochastic depth of the last block',
  RATE,
)
_NATIVE_RESIZE = Key(
  'use_native_resize_op', False, "resize with TensorFlow's own op"
)

_RESNET = block(
  'resnet',
  Key('resnet_depth', 50, '10, 14, 18, 26, 34, 50, 101, 152 or 200'),
  _DROP_CONNECT,
  chosen_by='architecture.backbone',
)

_SPINENET = block(
  'spinenet',
  Key('model_id', '49', '49S, 49, 96, 143, 143l or 190; quote it in YAML'),
  _DROP_CONNECT,
  _NATIVE_RESIZE,
  chosen_by='architecture.backbone',
)

_SPINENET_MBCONV = block(
  'spinenet_mbconv',
  Key('model_id', '49', '49, 49S or 49XS; quote it in YAML'),
  Key('se_ratio', 0.2, 'squeeze-and-excite ratio', SHARE, null=True),
  _DROP_CONNECT,
  _NATIVE_RESIZE,
  chosen_by='architecture.backbone',
)

BACKBONES = (*_RESNET, *_SPINENET, *_SPINENET_MBCONV)

_FPN = block(
  'fpn',
  Key('fpn_feat_dims', 256, 'channels', COUNT),
  Key('use_separable_conv', False, 'separable output convolutions'),
  Key('use_batch_norm', True, 'batch norm on the outputs'),
  chosen_by='architecture.multilevel_features',
)

_NASFPN = block(
  'nasfpn',
  Key('fpn_feat_dims', 256, 'channels', COUNT),
  Key('num_repeats', 5, 'how often the cell is repeated', COUNT),
  Key('use_separable_conv', False, 'separable convolutions'),
  _DROP_CONNECT,
  Key('block_fn', 'conv', 'conv or bottleneck'),
  Key('activation', None, 'null = batch_norm_activation.activation', TEXT),
  Key('use_sum_for_combination', False, 'add at every merge of the cell'),
  chosen_by='architecture.multilevel_features',
)

_PYRAMID = block(
  'architecture',
  Key('multilevel_features', 'fpn', 'fpn, nasfpn, identity'),
)

NECKS = (*_PYRAMID, *_FPN, *_NASFPN)

# What the parser of any detector has; `keys.block` gives it a name.
INSTANCE_PARSER = (
  Key('output_size', [640, 640], 'height, width (pixels)', SIZE),
  Key('aug_rand_hflip', True, 'random flip in training'),
  Key('aug_scale_min', 1.0, 'smallest scale of the jitter', POSITIVE),
  Key('aug_scale_max', 1.0, 'largest scale of the jitter', POSITIVE),
  Key('skip_crowd_during_training', True, 'leave crowd boxes out in training'),
  Key('max_num_instances', 100, 'objects per image, padded', COUNT),
  Key('regenerate_source_id', False, "source id from the image's bytes"),
)

# Of detectors without masks, which the policies' operations do not move.
DETECTION_PARSER = (
  *INSTANCE_PARSER,
  Key('aug_policy', '', 'v0 to v3, randaugment-N-M, a list', TEXT_OR_LIST),
)

# What a parser of dense targets has besides.
ANCHOR_MATCHING = (
  Key('match_threshold', 0.5, 'IoU from which an anchor fits', POSITIVE_SHARE),
  Key('unmatched_threshold', 0.5, 'IoU below which it is background', SHARE),
)

POSTPROCESS = block(
  'postprocess',
  Key('apply_nms', True, 'false = the raw outputs'),
  Key('use_batched_nms', False, "deprecated: nms_version 'batched'"),
  Key('nms_version', 'v1', 'v1, v2 or batched'),
  Key('max_total_size', 100, 'detections per image, also per class', COUNT),
  Key('class_agnostic_nms', False, 'boxes drop those of other classes, too'),
  Key('nms_iou_threshold', 0.5, 'IoU above which a box is dropped', SHARE),
  Key('score_threshold', 0.05, 'a score must be above it'),
  Key('pre_nms_num_boxes', 5000, 'candidates per class', COUNT),
  Key('apply_sigmoid', True, 'false: the scores are logits'),
)

PREDICT = block(
  'predict',
  Key('predict_batch_size', 8, 'images; nothing reads it', COUNT),
)

_OPTIMIZER = block(
  'optimizer',
  Key('type', 'momentum', 'momentum, adam, adadelta, adagrad or rmsprop'),
  Key('momentum', 0.9, 'for momentum and rmsprop', FROM_0),
)

_LEARNING_RATE = block(
  'learning_rate',
  Key('type', 'step', 'step or cosine'),
  Key('base_batch_size', 64, 'that the rates are for', COUNT, null=True),
  Key('warmup_learning_rate', 0.0067, 'at step 0', FROM_0),
  Key('warmup_steps', 500, 'length of warm-up', COUNT_FROM_0),
  Key('init_learning_rate', 0.08, 'after the warm-up', FROM_0),
  Key('learning_rate_levels', [0.008, 0.0008], 'later rates', EACH_FROM_0),
  Key('learning_rate_steps', [15000, 20000], 'their first steps', EACH_FROM_0),
)

_CHECKPOINT = block(
  'checkpoint',
  Key('path', '', 'checkpoint to start from; empty = none'),
  Key('prefix', '', "prefix of this graph's variables that it lacks"),
  Key('skip_variables_regex', '', 'variables not to load, prefix cut'),
  Key('min_coverage', 0.5, 'share of the backbone it has to hold', SHARE),
)

_PRE_PARSER_DATASET = block(
  'pre_parser_dataset',
  Key(
    'file_pattern',
    '',
    'only copy-paste reads it; empty = train_file_pattern',
    no_effect=True,
  ),
  Key('dataset_type', 'tfrecord', 'tfrecord is all there is', no_effect=True),
)

TRAIN = block(
  'train',
  Key('iterations_per_loop', 100, 'steps of one TPU loop', COUNT),
  Key('train_batch_size', 64, 'images, on all devices', COUNT),
  Key('gradient_accumulation_steps', 1, 'parts of a batch, in turn', COUNT),
  Key('recompute_grad', False, 'recompute activations, do not keep them'),
  Key('mixed_precision', False, 'float16 on GPUs, where that is safe'),
  Key('total_steps', 22500, 'length of training', COUNT_FROM_0),
  Key('seed', None, 'makes training repeatable', INT),
  Key('num_shards', 8, 'TPU cores; the flag --num_cores', COUNT),
  Key('num_cores_per_replica', None, 'TPU cores that share an image', COUNT),
  Key('input_partition_dims', None, 'parts of an image, see tpu.md', LIST),
  *_OPTIMIZER,
  *_LEARNING_RATE,
  *_CHECKPOINT,
  Key('early_stop_evaluations', 0, 'no better: ends; 0 = never', COUNT_FROM_0),
  Key('early_stop_min_delta', 0.0, 'what counts as better', FROM_0),
  Key('ema_decay', 0.0, 'of moving averages of the weights; 0 = none', RATE),
  Key('recover_from_blow_ups', 0, 'tries; 0 = none', COUNT_FROM_0),
  Key('blow_up_factor', 50.0, 'times the median loss; 0 = off', FROM_0),
  Key('blow_up_learning_rate_factor', 0.5, 'for each try', POSITIVE_SHARE),
  Key('save_checkpoint_seconds', 600, 'pause; 0 = every step', COUNT_FROM_0),
  Key('keep_checkpoint_every_hours', 0.0, 'one stays; 0 = none', FROM_0),
  Key('keep_checkpoints', 5, 'newest; 0 = all', COUNT_FROM_0, null=True),
  Key('frozen_variable_prefix', None, 'regex of names not to train', TEXT),
  Key(
    'regularization_variable_regex',
    '.*(kernel|weight):0$',
    'variables under weight decay',
    TEXT,
    null=True,
  ),
  Key('l2_weight_decay', 1e-4, 'weight decay', FROM_0),
  Key('gradient_clip_norm', 0.0, 'global norm; 0 = off', FROM_0),
  Key('train_file_pattern', '', 'pattern or files'),
  Key('train_dataset_type', 'tfrecord', 'tfrecord'),
  Key('skip_broken_images', False, 'skip and count what does not decode'),
  Key('transpose_input', True, 'batch last in memory; off without a TPU'),
  Key('space_to_depth_block_size', 1, 'deprecated: in architecture', _BLOCK),
  *_PRE_PARSER_DATASET,
)

EVAL = block(
  'eval',
  Key('eval_batch_size', 8, 'images', COUNT),
  Key('eval_samples', None, 'images; null = the whole set', COUNT_FROM_0),
  Key('min_eval_interval', 180, 'pause between two (seconds)', COUNT_FROM_0),
  Key('eval_timeout', None, 'wait for a checkpoint (seconds)', COUNT_FROM_0),
  Key('num_steps_per_eval', 1000, 'train steps between evaluations', COUNT),
  Key('eval_file_pattern', '', 'pattern or files'),
  Key('eval_dataset_type', 'tfrecord', 'tfrecord'),
  Key('label_map_file', '', "class names, lines 'id:name'"),
  Key('skip_eval_loss', False, 'the loss is 0 in evaluation'),
  Key('suffix', '', "appended to the directory name 'eval'"),
  Key('use_ema', True, 'moving averages of the weights, if there are any'),
  Key('num_shown_images', 8, 'in TensorBoard; 0 = none', COUNT_FROM_0),
  Key('best_metric', 'AP', 'of the checkpoint in best/; -NAME: the smallest'),
)

# Of models whose objects are scored as COCO does.
COCO_EVAL = block(
  'eval',
  Key('use_json_file', True, 'groundtruth from eval.val_json_file'),
  Key('val_json_file', '', 'COCO json; empty = from the TFRecords'),
  Key('backend', 'faster_coco_eval', 'faster_coco_eval or pycocotools'),
  Key('per_category_metrics', False, 'AP of each class too'),
)

# What every model has, whatever its images and outputs are.
COMMON = (
  *RUN,
  *ARCHITECTURE,
  *BATCH_NORM_ACTIVATION,
  *DROPBLOCK,
  *BACKBONES,
  *TRAIN,
  *PREDICT,
  *EVAL,
)

RESTRICTIONS = (
  restrictions.comparison('architecture.min_level <= architecture.max_level'),
  restrictions.tpu_cores,
  restrictions.tpu_image_parts,
)


def detection_restrictions(
  parser: str,
) -> Tuple[restrictions.Restriction, ...]:
  """Returns the restrictions of `DETECTION_PARSER` in the block `parser`."""
  return (
    restrictions.comparison(
      f'{parser}.aug_scale_min <= {parser}.aug_scale_max'
    ),
  )

"""Parameters that every detection model shares."""

from configs.keys import Key

RUN = (
  Key('model_dir', '', 'output directory'),
  Key('use_tpu', True, 'run on a TPU; off unless a file or a flag sets it'),
  Key(
    'isolate_session_state', False, 'option of the sessions, on every device'
  ),
  Key(
    'enable_summary',
    False,
    'write training scalars for TensorBoard; on without a TPU, unless a file '
    'or a flag says false',
  ),
  Key('tpu_job_name', None, "name of the TPU worker's job", 'str'),
  Key('platform.tpu', None, 'TPU name or grpc:// address', 'str'),
  Key('platform.tpu_zone', None, "the TPU's zone", 'str'),
  Key('platform.gcp_project', None, "the TPU's project", 'str'),
  Key(
    'platform.eval_master',
    None,
    'where to evaluate: grpc:// address of another TPU, or local for the CPU '
    'of this machine; null = the TPU that trains',
    'str',
  ),
  Key(
    'platform.configure_tpu_version',
    False,
    "set the TPU's TensorFlow version to 1.15, which restarts it if needed",
  ),
)

ARCHITECTURE = (
  Key('architecture.backbone', 'resnet', 'resnet, spinenet, spinenet_mbconv'),
  Key('architecture.multilevel_features', 'fpn', 'fpn, nasfpn, identity'),
  Key(
    'architecture.min_level', 3, 'lowest level; its stride is 2^level pixels'
  ),
  Key('architecture.max_level', 7, 'highest pyramid level'),
  Key('architecture.num_classes', 91, 'classes, with the background as 0'),
  Key('architecture.use_bfloat16', True, 'bfloat16 images and activations'),
  Key(
    'architecture.space_to_depth_block_size',
    1,
    'folds blocks of pixels into channels in training (pixels)',
  ),
  Key(
    'architecture.output_flat_fpn_features',
    False,
    'give the graph a node RawFpnFeatures with the flattened features',
  ),
  Key(
    'architecture.pre_parser',
    None,
    'parser of a second data set for copy-paste; RetinaNet has none',
    'str',
  ),
)

ANCHOR = (
  Key('anchor.num_scales', 3, 'octave scales per level'),
  Key('anchor.aspect_ratios', [1.0, 2.0, 0.5], 'width / height of the anchors'),
  Key('anchor.anchor_size', 4.0, 'base side of an anchor (strides)'),
)

BATCH_NORM_ACTIVATION = (
  Key(
    'batch_norm_activation.batch_norm_momentum',
    0.997,
    'decay of the moving averages',
  ),
  Key('batch_norm_activation.batch_norm_epsilon', 1e-4, 'added to variance'),
  Key(
    'batch_norm_activation.batch_norm_trainable',
    True,
    'whether gamma and beta are trained',
  ),
  Key(
    'batch_norm_activation.use_sync_bn',
    False,
    'batch statistics over all GPUs, or over more than 8 TPU replicas',
  ),
  Key('batch_norm_activation.activation', 'relu', 'relu or swish, whole model'),
  Key('dropblock.dropblock_keep_prob', None, 'kept share; null = off', 'float'),
  Key('dropblock.dropblock_size', None, 'block side; null = off', 'int'),
)


def _drop_connect(block: str) -> Key:
  return Key(
    block + '.init_drop_connect_rate',
    None,
    'stochastic depth rate of the last block; null = off',
    'float',
  )


def _native_resize(block: str) -> Key:
  return Key(
    block + '.use_native_resize_op', False, "resize with TensorFlow's own op"
  )


BACKBONES = (
  Key('resnet.resnet_depth', 50, '10, 14, 18, 26, 34, 50, 101, 152 or 200'),
  _drop_connect('resnet'),
  Key(
    'spinenet.model_id', '49', '49S, 49, 96, 143, 143l or 190; quote it in YAML'
  ),
  _drop_connect('spinenet'),
  _native_resize('spinenet'),
  Key('spinenet_mbconv.model_id', '49', '49, 49S or 49XS; quote it in YAML'),
  Key('spinenet_mbconv.se_ratio', 0.2, 'squeeze-and-excite ratio'),
  _drop_connect('spinenet_mbconv'),
  _native_resize('spinenet_mbconv'),
)

NECKS = (
  Key('fpn.fpn_feat_dims', 256, 'channels'),
  Key('fpn.use_separable_conv', False, 'separable output convolutions'),
  Key('fpn.use_batch_norm', True, 'batch norm on the outputs'),
  Key('nasfpn.fpn_feat_dims', 256, 'channels'),
  Key('nasfpn.num_repeats', 5, 'how often the cell is repeated'),
  Key('nasfpn.use_separable_conv', False, 'separable convolutions'),
  _drop_connect('nasfpn'),
  Key('nasfpn.block_fn', 'conv', 'conv or bottleneck'),
  Key(
    'nasfpn.activation',
    None,
    'null = batch_norm_activation.activation',
    'str',
  ),
  Key(
    'nasfpn.use_sum_for_combination', False, 'add at every merge of the cell'
  ),
)

POSTPROCESS = (
  Key('postprocess.apply_nms', True, 'false = the raw outputs'),
  Key(
    'postprocess.use_batched_nms',
    False,
    "deprecated: true means nms_version 'batched'",
  ),
  Key('postprocess.nms_version', 'v1', 'v1, v2 or batched'),
  Key(
    'postprocess.max_total_size', 100, 'detections per image, also per class'
  ),
  Key('postprocess.nms_iou_threshold', 0.5, 'IoU above which a box is dropped'),
  Key('postprocess.score_threshold', 0.05, 'a score must be above it'),
  Key('postprocess.pre_nms_num_boxes', 5000, 'candidates per class'),
  Key('postprocess.apply_sigmoid', True, 'false: the scores are logits'),
  Key(
    'predict.predict_batch_size',
    8,
    'batch of a prediction without groundtruth (images)',
  ),
)

TRAIN = (
  Key('train.iterations_per_loop', 100, 'steps of one TPU loop'),
  Key('train.train_batch_size', 64, 'batch over all devices (images)'),
  Key(
    'train.gradient_accumulation_steps',
    1,
    'parts of the batch that are computed in turn, in the memory of one',
  ),
  Key(
    'train.recompute_grad',
    False,
    'compute activations again in the backward pass, instead of keeping them',
  ),
  Key(
    'train.mixed_precision',
    False,
    'GPUs compute in float16 where that is safe; a TPU has use_bfloat16',
  ),
  Key('train.total_steps', 22500, 'length of the training (steps)'),
  Key(
    'train.seed',
    None,
    'makes shuffling, jitter and start repeatable',
    'int',
  ),
  Key('train.num_shards', 8, 'TPU cores; the flag --num_cores'),
  Key(
    'train.num_cores_per_replica',
    None,
    'TPU spatial partitioning (cores)',
    'int',
  ),
  Key(
    'train.input_partition_dims',
    None,
    "TPU spatial partitioning: list of lists or of the text 'None'",
    'list',
  ),
  Key(
    'train.optimizer.type',
    'momentum',
    'momentum, adam, adadelta, adagrad or rmsprop',
  ),
  Key('train.optimizer.momentum', 0.9, 'for momentum and rmsprop'),
  Key('train.learning_rate.type', 'step', 'step or cosine'),
  Key('train.learning_rate.warmup_learning_rate', 0.0067, 'at step 0'),
  Key('train.learning_rate.warmup_steps', 500, 'length of the warm-up (steps)'),
  Key('train.learning_rate.init_learning_rate', 0.08, 'after the warm-up'),
  Key(
    'train.learning_rate.learning_rate_levels',
    [0.008, 0.0008],
    'rates that follow (step only)',
  ),
  Key(
    'train.learning_rate.learning_rate_steps',
    [15000, 20000],
    'where they begin (step only; steps)',
  ),
  Key('train.checkpoint.path', '', 'checkpoint to start from; empty = none'),
  Key(
    'train.checkpoint.prefix',
    '',
    "prefix of this graph's variables that the checkpoint lacks",
  ),
  Key(
    'train.checkpoint.skip_variables_regex',
    '',
    'variables not to load, matched after the prefix is cut',
  ),
  Key(
    'train.checkpoint.min_coverage',
    0.5,
    'fail if a smaller share of the backbone is in the checkpoint',
  ),
  Key(
    'train.save_checkpoint_seconds',
    600,
    'time between checkpoints (seconds); 0 = after every step',
  ),
  Key('train.keep_checkpoints', 5, 'newest checkpoints that are kept; 0 = all'),
  Key(
    'train.frozen_variable_prefix',
    None,
    "regex of names (with ':0') that are not trained",
    'str',
  ),
  Key(
    'train.regularization_variable_regex',
    '.*(kernel|weight):0$',
    'variables under weight decay',
  ),
  Key('train.l2_weight_decay', 1e-4, 'weight decay'),
  Key('train.gradient_clip_norm', 0.0, 'global norm; 0 = off'),
  Key('train.train_file_pattern', '', 'pattern or comma-separated files'),
  Key('train.train_dataset_type', 'tfrecord', 'tfrecord'),
  Key(
    'train.skip_broken_images',
    False,
    'count and skip images that do not decode, instead of stopping',
  ),
  Key('train.transpose_input', True, 'batch last in memory; off without a TPU'),
  Key(
    'train.space_to_depth_block_size',
    1,
    'deprecated: architecture.space_to_depth_block_size',
  ),
  Key(
    'train.pre_parser_dataset.file_pattern',
    '',
    'with architecture.pre_parser; none here',
  ),
  Key(
    'train.pre_parser_dataset.dataset_type',
    'tfrecord',
    'with architecture.pre_parser; none here',
  ),
)

EVAL = (
  Key(
    'eval.type',
    'box',
    'box, box_and_mask (models with masks) or customized (losses alone)',
  ),
  Key('eval.eval_batch_size', 8, 'batch (images)'),
  Key('eval.eval_samples', None, 'images; null = the whole set', 'int'),
  Key('eval.min_eval_interval', 180, 'time between evaluations (seconds)'),
  Key(
    'eval.eval_timeout',
    None,
    'wait for each checkpoint up to total_steps (seconds); null = no limit',
    'int',
  ),
  Key('eval.num_steps_per_eval', 1000, 'train steps per train_and_eval cycle'),
  Key('eval.eval_file_pattern', '', 'pattern or comma-separated files'),
  Key('eval.eval_dataset_type', 'tfrecord', 'tfrecord'),
  Key('eval.use_json_file', True, 'groundtruth from eval.val_json_file'),
  Key('eval.val_json_file', '', 'COCO json; empty = from the TFRecords'),
  Key('eval.label_map_file', '', "class names, lines 'id:name'"),
  Key('eval.backend', 'faster_coco_eval', 'faster_coco_eval or pycocotools'),
  Key('eval.per_category_metrics', False, 'AP of each class too'),
  Key('eval.skip_eval_loss', False, 'the loss is 0 in evaluation'),
  Key('eval.suffix', '', "appended to the directory name 'eval'"),
)

"""Builds the parser that a config names."""

from typing import Any

from dataloader import autoaugment
from dataloader.parsers import detection as detection_parser
from dataloader.parsers import retinanet as retinanet_parser
from ops import anchors
from utils import registry

PARSERS = registry.Registry('architecture.parser')


def parser_generator(
  params: Any, mode: str
) -> detection_parser.DetectionParser:
  """Returns the parser named by `params.architecture.parser`.

  Args:
    params: the whole config.
    mode: one of `utils.mode_keys`.

  Raises:
    ConfigError: the parser, the mode or a parameter is not known.
  """
  return PARSERS.get(params.architecture.parser)(params, mode)


@PARSERS.register('retinanet_parser')
def _retinanet_parser(
  params: Any, mode: str
) -> retinanet_parser.RetinanetParser:
  settings = params.retinanet_parser
  architecture = params.architecture

  def make_anchors(image_size):
    return anchors.Anchors(
      architecture.min_level,
      architecture.max_level,
      params.anchor.num_scales,
      params.anchor.aspect_ratios,
      params.anchor.anchor_size,
      image_size,
    )

  return retinanet_parser.RetinanetParser(
    anchors=make_anchors,
    match_threshold=settings.match_threshold,
    unmatched_threshold=settings.unmatched_threshold,
    mode=mode,
    output_size=settings.output_size,
    stride=2**architecture.max_level,
    num_classes=architecture.num_classes,
    aug_rand_hflip=settings.aug_rand_hflip,
    aug_scale_range=(settings.aug_scale_min, settings.aug_scale_max),
    aug_policy=autoaugment.policy_from_config(settings.aug_policy),
    skip_crowd_during_training=settings.skip_crowd_during_training,
    max_num_instances=settings.max_num_instances,
    regenerate_source_id=settings.regenerate_source_id,
    use_bfloat16=architecture.use_bfloat16,
    transpose_input=params.train.transpose_input,
    space_to_depth_block_size=architecture.space_to_depth_block_size,
  )

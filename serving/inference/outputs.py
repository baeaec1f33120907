"""Outputs that a run of inference is asked for."""

import os
from typing import Dict, List, Optional, Sequence

from serving.inference import (
  detection_files,
  html_page,
  image_ids,
  pictures,
  sources,
  writers,
)
from utils import errors
from utils import label_map as label_map_lib

_FOLDERS = ('output_dir', 'output_class_maps')


def check(paths: Dict[str, str], files: Sequence[str], *inputs: str) -> None:
  """Finds outputs that cannot be written, before work begins.

  Args:
    paths: by flag; '' where the flag is not given.
    files: what will be read.
    *inputs: other files that are read, or ''.

  Raises:
    ConfigError: there is no output; one would replace an input, another output
      or a folder; or a video is wanted of something else than one video.
  """
  wanted = {flag: path for flag, path in paths.items() if path}
  if not wanted:
    raise errors.ConfigError(
      'Nothing to write: give at least one of {}.'.format(
        ', '.join('--' + flag for flag in paths)
      )
    )
  read = {os.path.realpath(path) for path in (*files, *inputs) if path}
  taken: Dict[str, str] = {}
  for flag, path in wanted.items():
    place = os.path.realpath(path)
    if '://' in path:
      raise errors.ConfigError(
        f'--{flag}={path}: outputs are written to local files.'
      )
    if place in taken:
      raise errors.ConfigError(
        f'--{taken[place]} and --{flag} are both {path}.'
      )
    taken[place] = flag
    if place in read:
      raise errors.ConfigError(
        f'--{flag}={path} would replace a file that is read.'
      )
    if flag not in _FOLDERS and os.path.isdir(path):
      raise errors.ConfigError(f'--{flag}={path} is a folder.')
    if flag in _FOLDERS and place in {os.path.dirname(each) for each in read}:
      raise errors.ConfigError(
        f'--{flag}={path} holds files that are read, which pictures of the '
        'same name would replace. Give another folder.'
      )
  if paths['output_video']:
    _check_video(paths['output_video'], files)


def _check_video(path: str, files: Sequence[str]) -> None:
  ending = os.path.splitext(path)[1].lower()
  if ending not in pictures.CODECS:
    raise errors.ConfigError(
      '--output_video={} has to end in {}.'.format(
        path, ' or '.join(pictures.CODECS)
      )
    )
  if len(files) != 1 or not sources.is_video(files[0]):
    raise errors.ConfigError(
      '--output_video={} needs one video as input ({}); there {}.'.format(
        path,
        ', '.join(sources.VIDEO_ENDINGS),
        'is ' + files[0] if len(files) == 1 else f'are {len(files)} files',
      )
    )


def make_writers(
  paths: Dict[str, str],
  files: Sequence[str],
  ids: Optional[image_ids.ImageIds],
  label_map: Optional[Dict[int, str]],
  title: str,
  max_boxes: int,
  min_score: float,
  max_images_on_page: int,
) -> List[writers.Writer]:
  """Returns a writer for each path that is not ''.

  Args:
    paths: by `output_json`, `output_csv`, `output_dir`, `output_class_maps`,
      `output_video` and `output_html`, which `check` has found to be right.
    files: what will be read.
    ids: gives the results their ids; needed for `output_json`.
    label_map: class names by id, if known.
    title: of the page.
    max_boxes: detections an image, in pictures and video.
    min_score: lowest score in pictures, video and table, with which the page
      starts.
    max_images_on_page: further ones are left out of the page.

  Raises:
    UserError: a folder or a file cannot be made.
  """
  label_map = label_map_lib.with_background(label_map)
  how = writers.Drawing(label_map, max_boxes, min_score)
  make = {
    'output_json': lambda path: detection_files.CocoJsonWriter(path, ids),
    'output_csv': lambda path: detection_files.CsvWriter(
      path, label_map, min_score
    ),
    'output_dir': lambda path: pictures.PictureWriter(path, how),
    'output_class_maps': pictures.ClassMapWriter,
    'output_video': lambda path: pictures.VideoWriter(
      path, sources.frames_per_second(files[0]), how
    ),
    'output_html': lambda path: html_page.HtmlWriter(
      path, title, label_map, min_score, max_images_on_page
    ),
  }
  made: List[writers.Writer] = []
  try:
    for flag, path in paths.items():
      if path:
        made.append(make[flag](path))
  except BaseException:
    for writer in made:
      writer.discard()
    raise
  return made

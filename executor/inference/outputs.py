"""Which writers a run needs."""

from typing import Dict, List, Optional, Sequence

from executor.inference import html_page, sources, writers
from utils import errors


def make_writers(
  paths: Dict[str, str],
  files: Sequence[str],
  label_map: Optional[Dict[int, str]],
  title: str,
  annotation_file: str,
  max_boxes: int,
  min_score: float,
) -> List[writers.Writer]:
  """Returns a writer for each path that is not ''.

  Args:
    paths: by `output_json`, `output_csv`, `output_dir`, `output_video` and
      `output_html`.
    files: what will be read.
    label_map: class names by id, if known.
    title: of the page.
    annotation_file: COCO json with the ids of images, or ''.
    max_boxes: detections an image, in pictures.
    min_score: lowest score in pictures, video and table, with which the page
      starts.

  Raises:
    ConfigError: a video is wanted, and no video, or several files, are read.
  """
  how = writers.Drawing(label_map, max_boxes, min_score)
  made: List[writers.Writer] = []
  if paths['output_json']:
    made.append(writers.CocoJsonWriter(paths['output_json'], annotation_file))
  if paths['output_csv']:
    made.append(writers.CsvWriter(paths['output_csv'], label_map, min_score))
  if paths['output_dir']:
    made.append(writers.PictureWriter(paths['output_dir'], how))
  if paths['output_video']:
    if len(files) != 1 or not sources.is_video(files[0]):
      raise errors.ConfigError(
        '--output_video={} needs one video as input ({}), not {} '
        'file(s).'.format(
          paths['output_video'], ', '.join(sources.VIDEO_ENDINGS), len(files)
        )
      )
    video = sources.video_properties(files[0])
    made.append(writers.VideoWriter(paths['output_video'], video, how))
  if paths['output_html']:
    made.append(
      html_page.HtmlWriter(
        paths['output_html'], title, label_map, max_boxes, min_score
      )
    )
  return made

"""Pascal VOC xml becomes records, and nothing gets lost unsaid."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.tools import annotated_images
from tools.record_sources import image_files
from tools.record_sources import report as report_lib


def test_record_has_the_schema_of_the_decoder(voc_dirs, tmp_path):
  report = report_lib.Report()
  written = annotated_images.convert(
    annotated_images.read_voc(voc_dirs, report), report, tmp_path
  )
  example, _ = annotated_images.examples(written.shard_files)
  assert annotated_images.values(example, 'image/encoded') == [
    (voc_dirs[1] / 'pet_03.jpg').read_bytes()
  ]
  assert annotated_images.values(example, 'image/source_id') == [b'3']
  assert annotated_images.values(example, 'image/filename') == [b'pet_03.jpg']
  assert annotated_images.values(example, 'image/height') == [30]
  assert annotated_images.values(example, 'image/width') == [40]
  box = [
    annotated_images.values(example, 'image/object/bbox/' + edge)[0]
    for edge in ('ymin', 'xmin', 'ymax', 'xmax')
  ]
  np.testing.assert_allclose(box, [0.1, 0.1, 0.6, 0.5], rtol=1e-6)
  assert annotated_images.values(example, 'image/object/class/label') == [2]
  assert annotated_images.values(example, 'image/object/area') == [16 * 15]
  assert annotated_images.values(example, 'image/object/is_crowd') == [0]


def test_coordinates_of_the_challenge_start_at_one(voc_dirs):
  box = annotated_images.read_voc(voc_dirs, one_based=True).images[0].boxes[0]
  assert (box.xmin, box.ymin, box.xmax, box.ymax) == (3, 2, 20, 18)


def test_every_defect_of_voc_is_reported(voc_dirs, tmp_path):
  xml_dir, image_dir = voc_dirs
  annotated_images.write_xml(
    xml_dir,
    'pet_20',
    annotated_images.voc_object('cat', 5, 5, 5, 9)
    + annotated_images.voc_object('cat', 9, 5, 5, 9)
    + annotated_images.voc_object('unicorn', 1, 1, 9, 9)
    + annotated_images.voc_object('cat', 'left', 1, 9, 9)
    + annotated_images.voc_object('cat', 'nan', 1, 9, 9)
    + annotated_images.voc_object('cat', 30, 20, 50, 25)
    + annotated_images.voc_object('cat', 100, 20, 120, 25)
    + annotated_images.voc_object('dog', 2, 2, 9, 9, difficult=1),
    filename='other.jpg',
  )
  annotated_images.save_image(image_dir / 'pet_20.png')
  annotated_images.write_xml(
    xml_dir, 'pet_21', annotated_images.voc_object('cat', 1, 1, 9, 9)
  )
  annotated_images.write_xml(
    xml_dir, 'pet_22', annotated_images.voc_object('cat', 1, 1, 9, 9)
  )
  whole = (image_dir / 'pet_03.jpg').read_bytes()
  (image_dir / 'pet_22.jpg').write_bytes(whole[: len(whole) // 2])
  (xml_dir / 'pet_23.xml').write_text('<annotation><object>')
  annotated_images.save_image(image_dir / 'pet_23.jpg')
  annotated_images.write_xml(xml_dir, 'pet_24')
  annotated_images.save_image(image_dir / 'pet_24.bmp')
  annotated_images.write_xml(
    xml_dir,
    'pet_25',
    annotated_images.voc_object('cat', 1, 1, 9, 9),
    size=(30, 40),
  )
  annotated_images.save_image(image_dir / 'pet_25.jpg')
  split = tmp_path / 'split.txt'
  split.write_text(
    'pet_20\npet_21\npet_22 1\npet_23\n\npet_24\npet_24\npet_25\nnone\n'
  )

  report = report_lib.Report()
  annotated = annotated_images.read_voc(
    voc_dirs,
    report,
    split_file=str(split),
    label_map={1: 'cat', 2: 'dog'},
  )
  written = annotated_images.convert(annotated, report, tmp_path)
  findings = {
    kind: (entry['count'], {found['file'] for found in entry['findings']})
    for kind, entry in report.as_dict().items()
  }
  assert findings == {
    'box_without_area': (2, {'pet_20.png'}),
    'unknown_class': (1, {'pet_20.png'}),
    'malformed_box': (2, {'pet_20.png'}),
    'box_clipped': (1, {'pet_20.png'}),
    'box_outside_image': (1, {'pet_20.png'}),
    'difficult': (1, {'pet_20.png'}),
    'found_by_stem': (2, {'pet_20.png', 'pet_24.bmp'}),
    'size_contradicts': (1, {'pet_25.jpg'}),
    'missing_image': (1, {'pet_21.jpg'}),
    'unreadable_image': (1, {'pet_22.jpg'}),
    'unreadable_annotation': (1, {'pet_23.xml'}),
    'duplicate_image': (1, {'pet_24'}),
    'missing_annotation': (1, {'none.xml'}),
    're_encoded': (1, {'pet_24.bmp'}),
  }
  assert report.num_problems == 13
  assert [entry['id'] for entry in written.coco['images']] == [20, 24]
  assert [
    (entry['bbox'], entry['area'], entry['iscrowd'])
    for entry in written.coco['annotations']
  ] == [([30, 20, 10, 5], 50, 0), ([2, 2, 7, 7], 49, 1)]

  image_without_boxes = annotated_images.examples(written.shard_files)[1]
  assert annotated_images.values(image_without_boxes, 'image/format') == [
    b'png'
  ]
  png = annotated_images.values(image_without_boxes, 'image/encoded')[0]
  np.testing.assert_array_equal(
    np.asarray(Image.open(io.BytesIO(png))),
    np.asarray(Image.open(str(image_dir / 'pet_24.bmp'))),
  )


def test_images_without_xml_are_mentioned(voc_dirs):
  annotated_images.save_image(voc_dirs[1] / 'stray.png')
  report = report_lib.Report()
  annotated_images.read_voc(voc_dirs, report)
  assert report.count('not_annotated') == 1
  assert report.num_problems == 0


@pytest.mark.parametrize(
  'stems, expected',
  [
    (['BloodImage_00000', 'BloodImage_00012'], [0, 12]),
    (['2007_000032', '2008_000032'], [2007000032, 2008000032]),
    (['a', 'b_7'], [1, 2]),
    (['1_23', '12_3', '2_3'], [1, 2, 3]),
  ],
)
def test_image_ids_come_from_the_names_if_these_tell_them_apart(
  stems, expected
):
  assert [image_files.image_ids(stems)[stem] for stem in stems] == expected

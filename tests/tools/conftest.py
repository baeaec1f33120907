"""Annotated sets that several tests convert."""

import pytest

from tests.tools import annotated_images


@pytest.fixture
def voc_dirs(tmp_path):
  """Two good images, with one box each of `cat` and `dog`."""
  xml_dir, image_dir = tmp_path / 'xml', tmp_path / 'images'
  xml_dir.mkdir()
  image_dir.mkdir()
  annotated_images.save_image(image_dir / 'pet_03.jpg')
  annotated_images.save_image(image_dir / 'pet_11.jpg')
  annotated_images.write_xml(
    xml_dir, 'pet_03', annotated_images.voc_object('dog', 4, 3, 20, 18)
  )
  annotated_images.write_xml(
    xml_dir, 'pet_11', annotated_images.voc_object('cat', 0, 0, 40, 30)
  )
  return xml_dir, image_dir

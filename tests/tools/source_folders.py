"""One set of two images as labelling tools write it, a function for each.

Each takes an empty folder and returns what --annotations would be. pet_03 has a
dog at [4, 3, 20, 18], pet_11 a cat at [0, 0, 40, 30]; both are 40x30.
"""

import json

from tests.tools import annotated_images

_LABELS = {'pet_03': '1 0.3 0.35 0.4 0.5\n', 'pet_11': '0 0.5 0.5 1 1\n'}
_VOC = {
  'pet_03': annotated_images.voc_object('dog', 4, 3, 20, 18),
  'pet_11': annotated_images.voc_object('cat', 0, 0, 40, 30),
}
CSV = (
  'filename,width,height,class,xmin,ymin,xmax,ymax\n'
  'pet_03.jpg,40,30,dog,4,3,20,18\n'
  'pet_11.jpg,40,30,cat,0,0,40,30\n'
)
OPEN_IMAGES = (
  'ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n'
  'pet_03,xclick,/m/dog,1,0.1,0.5,0.1,0.6,0\n'
  'pet_11,xclick,/m/cat,1,0,1,0,1,0\n'
)


def write(folder, texts):
  for name, text in texts.items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def save_images(folder):
  folder.mkdir(parents=True, exist_ok=True)
  for stem in _LABELS:
    annotated_images.save_image(folder / (stem + '.jpg'))


def _write_labels(folder):
  write(folder, {stem + '.txt': text for stem, text in _LABELS.items()})


def yolo(folder):
  save_images(folder / 'images/train')
  _write_labels(folder / 'labels/train')
  yaml = 'path: .\ntrain: images/train\nval:\nnames:\n  0: cat\n  1: dog\n'
  write(folder, {'data.yaml': yaml})
  return folder


def yolo_of_roboflow(folder):
  save_images(folder / 'train/images')
  _write_labels(folder / 'train/labels')
  save_images(folder / 'valid/images')
  yaml = (
    'train: ../train/images\nval: ../valid/images\n\nnc: 2\n'
    "names: ['cat', 'dog']\n\nroboflow:\n  version: 1\n"
  )
  write(folder, {'data.yaml': yaml, 'README.roboflow.txt': 'Exported\n'})
  return folder / 'data.yaml'


def yolo_of_cvat(folder):
  """As CVAT's `YOLO 1.1` is."""
  save_images(folder / 'obj_train_data')
  _write_labels(folder / 'obj_train_data')
  data = 'classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n'
  images = ''.join(f'data/obj_train_data/{stem}.jpg\n' for stem in _LABELS)
  names = 'cat\ndog\n'
  write(folder, {'obj.data': data, 'obj.names': names, 'train.txt': images})
  return folder


def ultralytics_of_cvat(folder):
  """As CVAT's `Ultralytics YOLO Detection` is."""
  save_images(folder / 'images/train')
  _write_labels(folder / 'labels/train')
  images = ''.join(f'data/images/train/{stem}.jpg\n' for stem in _LABELS)
  yaml = 'names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\n'
  write(folder, {'data.yaml': yaml, 'train.txt': images})
  return folder


def yolo_of_label_studio(folder):
  save_images(folder / 'images')
  _write_labels(folder / 'labels')
  categories = [{'id': 0, 'name': 'cat'}, {'id': 1, 'name': 'dog'}]
  notes = {'categories': categories, 'info': {'contributor': 'Label Studio'}}
  names = 'cat\ndog\n'
  write(folder, {'classes.txt': names, 'notes.json': json.dumps(notes)})
  return folder


def yolo_in_one_folder(folder):
  save_images(folder)
  _write_labels(folder)
  write(folder, {'classes.txt': 'cat\ndog'})
  return folder


def csv_of_tutorials(folder):
  save_images(folder / 'images')
  write(folder, {'labels.csv': CSV})
  return folder / 'labels.csv'


def csv_of_a_spreadsheet(folder):
  """Semicolons, decimal commas, CRLF, a BOM, paths of Windows, no sizes."""
  save_images(folder)
  text = (
    'X_Min;y_min;XMAX;ymax;Label;Image\n'
    '"4,0";3;20;18;dog;C:\\photos\\pet_03.jpg\n;;;;;\n'
    '0;0;40;30,0;cat;C:\\photos\\pet_11.jpg\n'
  )
  text = text.replace('\n', '\r\n').encode('utf-8-sig')
  write(folder, {'a.csv': text})
  return folder


def labelme(folder):
  save_images(folder / 'photos')
  shapes = {
    # From the lower right corner to the upper left one.
    'pet_03': ('dog', 'rectangle', [[20, 18], [4.0, 3]]),
    'pet_11': ('cat', 'polygon', [[0, 30], [0, 0], [40, 0], [40, 30]]),
  }
  for stem, (label, kind, points) in shapes.items():
    shape = {'label': label, 'points': points, 'shape_type': kind}
    content = {
      'version': '5.4.1',
      'flags': {},
      'shapes': [{**shape, 'group_id': None, 'flags': {}}],
      'imagePath': f'..\\photos\\{stem}.jpg',
      'imageData': 'AAAA',
      'imageHeight': 30,
      'imageWidth': 40,
    }
    write(folder / 'labels', {stem + '.json': json.dumps(content)})
  return folder / 'labels'


def open_images(folder):
  save_images(folder)
  write(folder, {'train-annotations-bbox.csv': OPEN_IMAGES})
  return folder


def voc_of_cvat(folder):
  save_images(folder / 'JPEGImages')
  (folder / 'Annotations').mkdir()
  for stem, objects in _VOC.items():
    annotated_images.write_xml(folder / 'Annotations', stem, objects)
  names = '\n'.join(_VOC)
  write(folder, {'ImageSets/Main/default.txt': names, 'labelmap.txt': '# cat'})
  return folder


def voc_of_label_studio(folder):
  save_images(folder / 'images')
  (folder / 'Annotations').mkdir()
  for stem, objects in _VOC.items():
    # The name is without its suffix.
    annotated_images.write_xml(folder / 'Annotations', stem, objects, stem)
  return folder


def _coco(prefix, first_id):
  boxes = {'pet_03': (1, [4, 3, 16, 15]), 'pet_11': (0, [0, 0, 40, 30])}
  images, objects = [], []
  for number, (stem, (class_id, box)) in enumerate(boxes.items()):
    name = f'{prefix}{stem}.jpg'
    size = {'width': 40, 'height': 30}
    images.append({'id': number + first_id, 'file_name': name, **size})
    ids = {'id': number, 'image_id': number + first_id}
    category = {'category_id': class_id + first_id, 'segmentation': []}
    objects.append({**ids, **category, 'bbox': box, 'iscrowd': 0, 'ignore': 0})
  names = enumerate(('cat', 'dog'), first_id)
  categories = [{'id': number, 'name': name} for number, name in names]
  return json.dumps(
    {'images': images, 'categories': categories, 'annotations': objects}
  )


def coco_of_cvat(folder):
  save_images(folder / 'images/default')
  write(folder, {'annotations/instances_default.json': _coco('', 1)})
  return folder


def coco_of_label_studio(folder):
  """Ids count from 0 there."""
  save_images(folder / 'images')
  write(folder, {'result.json': _coco('images\\', 0)})
  return folder


SOURCES = {
  'yolo': yolo,
  'yolo of Roboflow': yolo_of_roboflow,
  'yolo of CVAT': yolo_of_cvat,
  'yolo of CVAT for Ultralytics': ultralytics_of_cvat,
  'yolo of Label Studio': yolo_of_label_studio,
  'yolo in one folder': yolo_in_one_folder,
  'csv': csv_of_tutorials,
  'csv of a spreadsheet': csv_of_a_spreadsheet,
  'labelme': labelme,
  'open_images': open_images,
  'voc of CVAT': voc_of_cvat,
  'voc of Label Studio': voc_of_label_studio,
  'coco of CVAT': coco_of_cvat,
  'coco of Label Studio': coco_of_label_studio,
}

"""`main.py`, reading the records of each epoch one file after the other.

  python -m tests.executor.multi_worker.unshuffled_main --mode=train ...

Two workers with a file of one record each, and one process with both files,
then have the same images in each step.
"""

import main
from dataloader import input_reader
from utils import program

if __name__ == '__main__':
  input_reader._SHUFFLE_BUFFER = 1
  program.run(main.main)

"""Types of errors of detections, and what each costs."""

# Of an error, in the order of the paper.
ERRORS = (
  'classification',
  'localisation',
  'both',
  'duplicate',
  'background',
  'missed',
)
# Of a detection; on a crowd it is neither right nor wrong.
TYPES = ('true positive', 'crowd', *ERRORS[:-1])

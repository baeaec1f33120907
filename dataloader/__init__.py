"""From TFRecords to batches of images and labels."""

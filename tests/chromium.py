"""A headless Chromium, where Debian's packages are installed."""

import contextlib
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome import service


@contextlib.contextmanager
def browser(width=1200, height=900):
  """Yields a Selenium driver; skips the test where there is no Chromium."""
  program = shutil.which('chromium')
  driver = shutil.which('chromedriver')
  if not program or not driver:
    pytest.skip("Debian's packages chromium and chromium-driver are absent")
  options = webdriver.ChromeOptions()
  options.binary_location = program
  for argument in (
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    f'--window-size={width},{height}',
  ):
    options.add_argument(argument)
  options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
  chromium = webdriver.Chrome(service=service.Service(driver), options=options)
  try:
    yield chromium
  finally:
    chromium.quit()

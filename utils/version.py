"""The version of this project; `setup.py` states the same one."""

VERSION = '0.1.0'

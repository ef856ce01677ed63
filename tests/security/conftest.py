"""Attacks that other servers fell to: ids "AV007-..." are rows of tests/rows/advisories.tsv."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in (HERE, os.path.join(HERE, "../e2e"), os.path.join(HERE, "../fake")):
    sys.path.insert(0, folder)

"""Rows of published bugs: ids "N07-..." are their numbers. What a row cannot be tested with yet is in
not_applicable.tsv, what other tests show in shown_elsewhere.tsv; test_00_rows.py holds the two to the list."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in (HERE, os.path.join(HERE, "../e2e"), os.path.join(HERE, "../fake")):
    sys.path.insert(0, folder)

#!/usr/bin/python3
"""rows.py RESULTS: acceptance rows (tests/rows/*.tsv) with the tests that show them and how those went last time.

A row's tests are: pytest's tests whose parameter id begins with the row's id; unit tests with a table row or a check
so named; and what tests/rows/where.tsv says for rows that many-sided tests show: tests/FILE.py::TEST, a unit
PROGRAM::TEST, or fuzz/TARGET. RESULTS holds what tests/run left: SUITE.xml (ctest and pytest), SUITE.rows (pytest),
fuzz.targets. A row without a test needs its reason in tests/rows/exceptions.tsv. An id of a test that is no row's is an
error. The exit code is 0 when every row has passed or has a reason."""
import glob
import os
import re
import sys
import xml.etree.ElementTree as et
from collections import defaultdict

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROWS = os.path.join(TOP, "tests/rows")
ID = r"(?:[A-Z]{1,2}\d{2,3}[a-z]?|\d{3}-\d{1,3}|X[1-3])"
# A literal that begins with ids: "U09", "U13 1 octet", "S36/S37 require", "H26-case"
TYPES = {"L32", "L64", "X25", "255-255", "256-1", "FD00"}  # record types and names made from addresses that look like ids
LITERAL = re.compile(rf'"({ID}(?:/{ID})*)(?=["\s_-])')


def table(name):
    """The rows of a .tsv: lists of cells; comments and the head are left out."""
    with open(os.path.join(ROWS, name), encoding="utf-8") as f:
        lines = [line.rstrip("\n") for line in f if line.strip() and not line.startswith("#")]
    return [line.split("\t") for line in lines[1:]]


def rows():
    found = {}
    for path in sorted(glob.glob(os.path.join(ROWS, "*.tsv"))):
        name = os.path.basename(path)
        if name not in ("where.tsv", "exceptions.tsv"):
            for row in table(name):
                assert row[0] not in found, f"{name}: {row[0]} stands twice"
                found[row[0]] = row[1:]
    return found


def exceptions(known):
    """[(words, ids, reason)]; "Q01-Q40" stands for all that lie between."""
    found = []
    for words, reason in table("exceptions.tsv"):
        ids = []
        for word in words.split():
            m = re.fullmatch(r"([A-Z]+)(\d+)-\1(\d+)", word)
            ids += [f"{m[1]}{i:0{len(m[2])}}" for i in range(int(m[2]), int(m[3]) + 1)] if m else [word]
        assert set(ids) <= set(known), f"exceptions.tsv: no row {set(ids) - set(known)}"
        found.append((words, ids, reason))
    return found


def unit_sources():
    """Program (as ctest names it) -> its text, with the headers of tests/ that it includes."""
    unit = os.path.join(TOP, "tests/unit")
    for path in sorted(glob.glob(os.path.join(unit, "**/test_*.c"), recursive=True)):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for name in re.findall(r'#include "([^"]+)"', text):
            for place in (os.path.dirname(path), unit, TOP):
                header = os.path.join(place, name)
                if os.path.exists(header) and "/tests/" in header:
                    with open(header, encoding="utf-8") as f:
                        text += f.read()
                    break
        yield os.path.relpath(path, unit)[:-2], text


def unit_results(results):
    """Program, or fuzz/TARGET -> how it went, in every build it was run in."""
    found = {}
    for suite in ("unit", "clang", "asan", "tsan"):
        path = os.path.join(results, suite + ".xml")
        for c in et.parse(path).iter("testcase") if os.path.exists(path) else ():
            good = c.get("status") == "run" and c.find("failure") is None
            name = c.get("name").removesuffix(".c").replace("fuzz/fuzz_", "fuzz/")  # the replay of its corpus
            found[name] = "passed" if good and found.get(name) != "failed" else "failed"
    path = os.path.join(results, "fuzz.targets")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            found.update({"fuzz/" + name: result for name, result in (line.split() for line in f)})
    return found


def pytest_results(results):
    """(row id -> [(test, result)], test without its parameter -> result)."""
    by_id, by_test = defaultdict(list), {}
    for path in sorted(glob.glob(os.path.join(results, "*.rows"))):
        with open(path, encoding="utf-8") as f:
            for line in f:
                row, test, result = line.rstrip("\n").split("\t")
                by_id[row].append((test, result))
    for path in sorted(glob.glob(os.path.join(results, "*.xml"))):
        for case in et.parse(path).iter("testcase"):
            name = case.get("classname", "").replace(".", "/") + ".py::" + case.get("name", "").split("[")[0]
            good = not any(case.find(bad) is not None for bad in ("failure", "error", "skipped"))
            by_test[name] = "passed" if good and by_test.get(name, "passed") == "passed" else "failed"
    return by_id, by_test


def evidence(results, known):
    """row id -> [(test, result)]"""
    found = defaultdict(list)
    unit = unit_results(results)
    by_id, by_test = pytest_results(results)
    programs = dict(unit_sources())
    for row, tests in by_id.items():
        found[row] += tests
    for program, text in programs.items():
        for ids in set(LITERAL.findall(text)):
            for row in set(ids.split("/")) - TYPES:
                found[row].append((program, unit.get(program, "not run")))
    for row, tests in table("where.tsv"):
        assert row in known, f"where.tsv: no row {row}"
        for test in tests.split():
            if test.startswith("tests/"):
                path, _, name = test.partition("::")
                with open(os.path.join(TOP, path), encoding="utf-8") as f:
                    assert f"def {name}(" in f.read(), f"where.tsv: {row}: no test {test}"
                found[row].append((test, by_test.get(test, "not run")))
            elif test.startswith("fuzz/"):
                assert os.path.exists(os.path.join(TOP, f"tests/fuzz/fuzz_{test[5:]}.c")), f"where.tsv: {row}: no test {test}"
                found[row].append((test, unit.get(test, "not run")))
            else:
                program, _, name = test.partition("::")
                assert program in programs and f"{name}(" in programs[program], f"where.tsv: {row}: no test {test}"
                found[row].append((test, unit.get(program, "not run")))
    return found


def verdict(tests):
    results = {r for _, r in tests}
    return "failed" if "failed" in results else "passed" if "passed" in results else "not run"


def main():
    results = sys.argv[1] if len(sys.argv) > 1 else os.path.join(TOP, "build/results")
    known = rows()
    why = exceptions(known)
    found = evidence(results, known)
    bad = without = unknown = 0
    for row in known:
        tests = sorted(set(found.get(row, [])))
        if tests:
            result = verdict(tests)
            bad += result != "passed"
            first = sorted({t.split("[")[0] for t, r in tests if r == result})
            print(f"{row:7} {result:8} {first[0]}{f' and {len(first) - 1} more' if len(first) > 1 else ''}")
    print("\nRows without a test:")
    told = set()
    for words, ids, reason in why:
        print(f"{words}: {reason}")
        told |= set(ids)
    for row, cells in known.items():
        if not found.get(row) and row not in told:
            without += 1
            print(f"{row:7} NO TEST AND NO REASON: {cells[0][:80]}")
    for row in sorted(told & set(found)):
        bad += 1
        print(f"{row:7} has a test: its reason in exceptions.tsv is out of date")
    for row in sorted(set(found) - set(known)):
        unknown += 1
        print(f"{row:7} is the id of a test but of no row: {found[row][0][0]}")
    n = sum(1 for r in known if found.get(r))
    print(f"\n{len(known)} rows: {n} with tests, {bad} of them not passed; {len(known) - n - without} with a reason; "
          f"{without} with neither; {unknown} ids of no row")
    return 1 if bad or without or unknown else 0


if __name__ == "__main__":
    sys.exit(main())

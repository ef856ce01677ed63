"""The acceptance rows: their files can be read, and what they point at exists."""
import rows


def test_rows_are_read():
    known = rows.rows()
    assert len(known) > 600
    assert all(len(cells) == 2 and all(cells) for cells in known.values())
    assert all(reason for _, _, reason in rows.exceptions(known))


def test_tests_that_are_named_exist():
    rows.evidence("/nonexistent", rows.rows())  # asserts it


def test_ids_of_unit_tables_are_found():
    found = rows.evidence("/nonexistent", rows.rows())
    assert ("proto/dns/test_msg", "not run") in found["U13"]
    assert {"S36", "S37", "S38"} <= set(found)


def test_verdict():
    assert rows.verdict([("a", "passed"), ("b", "not run")]) == "passed"
    assert rows.verdict([("a", "passed"), ("b", "failed")]) == "failed"
    assert rows.verdict([("a", "not run")]) == "not run"

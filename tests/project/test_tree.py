"""What the tree must not hold."""
import re
import subprocess

import source
from server import TOP

TEXT = re.compile(r"\.(c|h|py|md|sh|txt|json|def|proto|in|yml|8|service|tsv|supp)$|(^|/)(quickstart|packages|run|grpc-query|Corefile[\w.-]*)$")
LIMIT = 700
# Whole words that tell of unfinished work. In pieces, so that this file does not hold them itself.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
# Where and how this was made is nobody's business: the tree explains itself.
WORKPLACE = re.compile("|".join(("/wo" + "rk/", r"\bseed [0-9]", r"\bseeds\.md\b", r"\bworktree\b", r"\bthe issue('s)?\b", r"\bissue #?[0-9]+",
                                 r"\bthis session\b", r"\bspec/[a-z]", r"\b(transports|backend-etcd|corefile|plugins|advisories)\.md\b")), re.I)
PUBLIC = re.compile(r"\b(coredns|kubernetes|kubernetai|grpc|etcd)(/\w+)*#[0-9]+")  # other projects' threads may be cited


def texts():
    return [f for f in source.files() if TEXT.search(f) and "/corpus/" not in f and f != "LICENSE"]


def find(pattern, paths):
    bad = []
    for path in paths:
        for n, line in enumerate(source.read(path).split("\n"), 1):
            m = pattern.search(PUBLIC.sub("", line))
            if m:
                bad.append(f"{path}:{n}: {m[0]}")
    return bad


def test_there_are_texts():
    assert len(texts()) > 150


def test_nothing_is_unfinished():
    bad = find(UNFINISHED, texts())
    assert not bad, "\n".join(bad)


def test_nothing_tells_of_the_workplace():
    bad = find(WORKPLACE, [t for t in texts() if t != "tests/project/test_tree.py"])
    assert not bad, "\n".join(bad)


def test_files_are_small():
    long = [(len(source.read(p).split("\n")), p) for p in source.files(".c", ".h", ".py") if "/corpus/" not in p]
    bad = [f"{p}: {n} lines" for n, p in long if n > LIMIT]
    assert not bad, "\n".join(bad)


def test_lines_end_cleanly():
    bad = [p for p in texts() if re.search(r"[ \t]\n|\r", source.read(p)) and not re.match(r"tests/(scenario|rows)/", p)]
    assert not bad, bad


def test_clang_format_reads_its_settings():
    r = subprocess.run(["clang-format-14", "--style=file", "--dump-config"], cwd=TOP, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert "ColumnLimit:     100" in r.stdout

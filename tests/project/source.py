"""The source tree as the project tests see it: files, includes, functions."""
import json
import os
import re

from server import TOP

PARTS = ("proto", "tls", "server", "backends", "include")
LEFT_OUT = re.compile(r"^(build[^/]*|\.git)(/|$)|(^|/)__pycache__(/|$)|(^|/)\.(hypothesis|pytest_cache)(/|$)")


def files(*ends, under=("",)):
    """Paths relative to the top, sorted; only those that end so."""
    found = []
    for part in under:
        for folder, dirs, names in os.walk(os.path.join(TOP, part)):
            rel = os.path.relpath(folder, TOP)
            rel = "" if rel == "." else rel + "/"
            dirs[:] = [d for d in dirs if not LEFT_OUT.search(rel + d)]
            found += [rel + n for n in names if not ends or n.endswith(ends)]
    return sorted(f for f in set(found) if not LEFT_OUT.search(f))


def code(*ends):
    return files(*(ends or (".c", ".h")), under=PARTS)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def blank(text):
    """Comments and what string literals hold become blanks; lines stay where they are."""
    def one(m):
        s = m.group(0)
        if s[0] in "\"'":
            return s[0] + re.sub(r"[^\n]", "_", s[1:-1]) + s[0]
        return re.sub(r"[^\n]", " ", s)
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', one, text, flags=re.S)


def includes(path):
    """(line, kind, name): kind is '"' or '<'."""
    for n, line in enumerate(read(path).split("\n"), 1):
        m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if m:
            yield n, m[1], m[2]


FUNCTION = re.compile(r"^(?P<head>[A-Za-z_][^;{}=#]*?\b(?P<name>\w+)\([^;{}]*\))\n\{\n(?P<body>.*?)^\}", re.M | re.S)


def functions(path):
    """(name, line, head, body) of each function; style puts its braces into the first column."""
    text = blank(read(path))
    for m in FUNCTION.finditer(text):
        yield m["name"], text.count("\n", 0, m.start("name")) + 1, m["head"], m["body"]


def build_dir():
    """The folder of the build under test."""
    return os.path.dirname(os.path.abspath(os.environ.get("WAYPOST") or os.path.join(TOP, "build/release/waypost")))


def compile_flags():
    """-D, -I, -isystem and -W flags that the product is compiled with."""
    with open(os.path.join(build_dir(), "compile_commands.json")) as f:
        commands = [c["command"] for c in json.load(f) if "/server/" in c["file"] or "/backends/" in c["file"]]
    flags = []
    for command in commands:
        words = re.findall(r"-isystem \S+|-[DIW]\S+", command)
        flags += [w for w in words if w not in flags]
    return [w.replace('\\"', '"') for f in flags for w in f.split(" ")]

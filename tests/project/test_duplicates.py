"""A function that stands in two places wants to be one."""
import hashlib
import re

import source

LEAST_LINES = 6
WORD = re.compile(r"[A-Za-z_]\w*|0[xX][0-9a-fA-F]+|\d+|\S")
KEYWORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool true false NULL size_t
ssize_t uint8_t uint16_t uint32_t uint64_t int8_t int16_t int32_t int64_t""".split())


def shape(head, body):
    """The body with its own variables renamed in the order of their first use. What it calls, which members and which
    constants it uses stay: two bodies of one shape do the same."""
    names, out, before = {}, [], ""
    words = WORD.findall(body)
    for i, w in enumerate(words):
        after = words[i + 1] if i + 1 < len(words) else ""
        if re.match(r"[A-Za-z_]", w) and w not in KEYWORDS and not w.isupper() and after != "(" and before not in (".", ">", "struct", "enum"):
            w = names.setdefault(w, f"v{len(names)}")
        out.append(w)
        before = w
    return hashlib.sha1(" ".join(out).encode()).hexdigest()


def lines_of(body):
    return sum(1 for line in body.split("\n") if line.strip(" \t}{"))


def twins(paths):
    seen = {}
    for path in paths:
        text = source.read(path)
        for name, line, head, body in source.functions(path):
            if lines_of(body) >= LEAST_LINES:
                real = text.split("\n")[line - 1:line + body.count("\n") + head.count("\n") + 2]
                strings = "|".join(re.findall(r'"(?:\\.|[^"\\\n])*"', "\n".join(real)))  # blanked in body: told apart here
                seen.setdefault((shape(head, body), strings), []).append(f"{path}:{line}: {name}")
    return [v for v in seen.values() if len(v) > 1]


def test_no_function_twice():
    bad = twins(source.code(".c", ".h"))
    assert not bad, "\n\n".join("\n".join(v) for v in bad)


def test_no_test_helper_twice():
    bad = twins(source.files(".c", ".h", under=("tests",)))
    assert not bad, "\n\n".join("\n".join(v) for v in bad)


def test_detector_sees_renamed_twin(tmp_path, monkeypatch):
    one = "static int first(int a)\n{\n" + "".join(f"    a = next(a) + {i};\n" for i in range(7)) + "    return a;\n}\n"
    for name, text in (("x.c", one), ("y.c", one.replace("first", "second").replace("a =", "b =").replace("(a)", "(b)").replace("int a", "int b")
                                     .replace("return a", "return b")), ("z.c", one.replace("+ 3", "+ 4"))):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(source, "TOP", str(tmp_path))
    assert len(twins(["x.c", "y.c", "z.c"])) == 1
    assert len(twins(["x.c", "z.c"])) == 0

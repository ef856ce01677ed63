#!/usr/bin/python3
"""abi.py: what a compiled plugin knows of the installed headers, line by line: sizes of structs, offsets of their members, values of
enums, and how functions are called. `tests/project/abi.py >tests/project/abi.txt` keeps it; test_abi.py compares."""
import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PARTS = ("base", "dns", "tls", "plugin")


def headers():
    for part in PARTS:
        folder = os.path.join(TOP, "include/waypost", part)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".h"):
                yield f"waypost/{part}/{name}"


def number():
    with open(os.path.join(TOP, "include/waypost/plugin/module.h"), encoding="utf-8") as f:
        return int(re.search(r"enum \{ WP_PLUGIN_ABI = (\d+) \};", f.read())[1])


def debug_info():
    """(depth, tag, {attribute: value}) of every type that the headers define."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = os.path.join(folder, "all.c"), os.path.join(folder, "all.o")
        with open(source, "w", encoding="utf-8") as f:
            f.write("".join(f'#include "{h}"\n' for h in headers()))
        subprocess.run(["gcc", "-std=gnu17", "-g", "-gdwarf-4", "-O0", "-fno-eliminate-unused-debug-types", "-D_GNU_SOURCE", f"-I{TOP}/include", "-c", source,
                        "-o", made], check=True)
        text = subprocess.run(["readelf", "--debug-dump=info", made], check=True, capture_output=True, text=True).stdout
    entry = None
    for line in text.split("\n"):
        m = re.match(r" <(\d+)><[0-9a-f]+>: Abbrev Number: \d+ \((\w+)\)", line)
        if m:
            if entry:
                yield entry
            entry = (int(m[1]), m[2], {})
        elif entry and (m := re.match(r" +<[0-9a-f]+> +(DW_AT_\w+) *: (?:\(indirect string, offset: \w+\): )?(.*)", line)):
            entry[2][m[1]] = m[2].strip()
    yield entry


def layout():
    where = None
    for depth, tag, a in debug_info():
        name = a.get("DW_AT_name", "")
        if depth == 1:
            where = name if tag == "DW_TAG_structure_type" and name.startswith("wp_") and "DW_AT_byte_size" in a else None
            if where:
                yield f"struct {name} {a['DW_AT_byte_size']}"
        elif tag == "DW_TAG_member" and depth == 2 and where:
            yield f"{where}.{name or '-'} {a.get('DW_AT_data_member_location', a.get('DW_AT_data_bit_offset', '0'))}"
        elif tag == "DW_TAG_enumerator" and name.startswith("WP_") and name != "WP_PLUGIN_ABI":
            yield f"{name} {a['DW_AT_const_value']}"


def calls():
    """Functions, functions in tables, and objects, as they are declared."""
    for header in headers():
        with open(os.path.join(TOP, "include", header), encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.S)
        text = re.sub(r"^\s*#(?:\\\n|.)*$", "", text, flags=re.M)
        text = re.sub(r"^(static inline .*?\n)\{\n.*?^\}", r"\1;", text, flags=re.S | re.M)
        text = re.sub(r"\b(WP_MUSTCHECK|WP_PRINTF\([^)]*\))", "", re.sub(r"\s+", " ", text))
        for m in re.finditer(r"[;{}] ?((?:extern )?(?:const )?(?:struct |enum )?\w[\w *]*?[ *](?:wp_\w+\([^;{}]*\)|\(\*\w+\)\([^;{}]*\)))(?= ?;)", ";" + text):
            yield "call " + re.sub(r" ?([*,()]) ?", r"\1", m[1])
        for m in re.finditer(r"(extern [^;()]*wp_\w+(?:\[[^]]*\])?);", text):
            yield "object " + m[1]


def lines():
    return sorted(set(layout()) | set(calls()))


if __name__ == "__main__":
    print(f"WP_PLUGIN_ABI {number()}")
    sys.stdout.write("".join(line + "\n" for line in lines()))

"""WP_PLUGIN_ABI grows with every change of the installed headers that a compiled plugin would notice."""
import os
import re

import abi
import source

KEPT = "tests/project/abi.txt"


def verdict(kept_number, kept, number, lines):
    """What is wrong, or "": what was there must be there under the same number; a new number wants a new list."""
    gone = sorted(set(kept) - set(lines))
    if number == kept_number:
        return "" if not gone else ("these are gone or changed: let WP_PLUGIN_ABI (waypost/plugin/module.h) grow, then "
                                    f"tests/project/abi.py >{KEPT}:\n" + "\n".join(gone[:40]))
    if number < kept_number:
        return f"WP_PLUGIN_ABI {number} was {kept_number} before"
    return "" if set(kept) == set(lines) else f"a new number: tests/project/abi.py >{KEPT}"


def test_number_follows_the_headers():
    head, *kept = source.read(KEPT).rstrip("\n").split("\n")
    wrong = verdict(int(re.fullmatch(r"WP_PLUGIN_ABI (\d+)", head)[1]), kept, abi.number(), abi.lines())
    assert not wrong, wrong


def test_list_is_about_what_plugins_use():
    lines = set(abi.lines())
    assert len(lines) > 1000
    for line in ("wp_query.msg", "wp_plugin.serve", "struct wp_option", "WP_STEP_WAIT", "call int(*serve)(void*self,struct wp_query*q)",
                 "call int wp_reply_begin(struct wp_query*q,uint16_t rcode,uint16_t flags)", "call void wp_loop_post(struct wp_loop*loop,struct wp_mail*mail)"):
        assert any(have == line or have.startswith(line + " ") for have in lines), line


def test_verdicts():
    before = ["struct a 8", "a.x 0"]
    assert verdict(1, before, 1, before) == ""
    assert verdict(1, before, 1, before + ["call int b(void)"]) == "", "what is new harms nobody"
    assert "a.x 0" in verdict(1, before, 1, ["struct a 8", "a.x 4"])
    assert "was 2 before" in verdict(2, before, 1, before)
    assert "a new number" in verdict(1, before, 2, ["struct a 16"])
    assert verdict(2, before, 2, before) == ""


def test_detector_sees_a_change(tmp_path, monkeypatch):
    """A copy of the headers with a member that is new, one of another type, and a function with one more argument."""
    top = tmp_path / "include/waypost"
    for part in abi.PARTS:
        os.makedirs(top / part)
    for header in abi.headers():
        text = source.read("include/" + header)
        text = text.replace("    uint8_t depth;               /* of internal", "    uint16_t depth;               /* of internal")
        text = text.replace("int wp_query_drop(struct wp_query *q);", "int wp_query_drop(struct wp_query *q, int why);")
        text = text.replace("WP_STEP_DONE,     /*", "WP_STEP_MORE, WP_STEP_DONE,     /*")
        (tmp_path / "include" / header).write_text(text)
    old = abi.lines()
    monkeypatch.setattr(abi, "TOP", str(tmp_path))
    gone = set(old) - set(abi.lines())
    assert "call int wp_query_drop(struct wp_query*q)" in gone and "WP_STEP_DONE 1" in gone and "WP_STEP_NEXT 0" not in gone
    assert any(g.startswith("wp_query.replying ") for g in gone) and not any(g.startswith("wp_query.qname ") for g in gone)


def test_versions_agree():
    version = re.search(r"project\(waypost VERSION ([\d.]+)", source.read("CMakeLists.txt"))[1]
    assert f'#define WP_PLUGIN_VERSION "{version}"' in source.read("include/waypost/plugin/module.h")

"""What `file`, `hosts` and `whoami` say of a Corefile or a file they cannot use: CoreDNS's words."""
import re

import pytest
from server import Waypost

SOA = "@ 1 SOA a b 1 2 3 4 5\n"
FILES = {"db": SOA, "bad": SOA + "@ 1 A x\n", "nosoa": "@ 1 A 192.0.2.1\n", "zero": "@ 1 SOA a b 0 2 3 4 5\n", "owner": "x 1 SOA a b 1 2 3 4 5\n",
         "nsec3": SOA + "@ 1 NSEC3PARAM 1 0 1 AB\n", "inc": SOA + "$INCLUDE nofile\n", "loop": SOA + "$INCLUDE loop\n", "hosts": ""}
IN_CONF = "plugin/{}: DIR/Corefile:{} - Error during parsing: {}"

FATAL = {
    "file-no-name": ("file", IN_CONF.format("file", 2, "Wrong argument count or unexpected line ending after 'file'")),
    "file-unknown-word": ("file {dir}/db {\n foo\n }", IN_CONF.format("file", 3, "unknown property 'foo'")),
    "file-missing-reload-0": ("file {dir}/nope {\n reload 0\n }", "plugin/file: plugin/file: open DIR/nope: no such file or directory"),
    "file-bad-reload": ("file {dir}/db {\n reload xx\n }", 'plugin/file: plugin/file: time: invalid duration "xx"'),
    "file-reload-without-time": ("file {dir}/db {\n reload\n }", "plugin/file: reload duration value is expected"),
    "file-negative-reload": ("file {dir}/db {\n reload -1s\n }", IN_CONF.format("file", 3, "reload duration '-1s' is negative")),
    "file-bad-record": ("file {dir}/bad", 'plugin/file: failed to parse file "DIR/bad" for origin example.org. with error DIR/bad: dns: bad A data: '
                                          '"x" at line: 2'),
    "file-no-soa": ("file {dir}/nosoa", 'plugin/file: file "DIR/nosoa" has no SOA record for origin example.org.'),
    "file-serial-0": ("file {dir}/zero", "plugin/file: no change in SOA serial for origin example.org. in file DIR/zero, with 0 SOA serial"),
    "file-soa-owner": ("file {dir}/owner", 'plugin/file: file "DIR/owner" has SOA owner x.example.org. that does not match origin example.org.'),
    "file-nsec3": ("file {dir}/nsec3", "plugin/file: NSEC3 zone is not supported, dropping RR: example.org. for zone: example.org."),
    "file-folder": ("file {dir}", 'plugin/file: failed to parse file "DIR" for origin example.org. with error read DIR: is a directory'),
    "file-include": ("file {dir}/inc", 'plugin/file: failed to parse file "DIR/inc" for origin example.org. with error DIR/inc: dns: failed to open '
                                       "`nofile' as `DIR/nofile': open DIR/nofile: no such file or directory: \"nofile\" at line: 2"),
    "file-include-loop": ("file {dir}/loop", 'plugin/file: failed to parse file "DIR/loop" for origin example.org. with error DIR/loop: dns: too '
                                             'deeply nested $INCLUDE: "loop" at line: 2'),
    "hosts-twice": ("hosts\n hosts", "plugin/hosts: this plugin can only be used once per Server Block"),
    "hosts-ttl-without": ("hosts {dir}/hosts {\n ttl\n }", IN_CONF.format("hosts", 3, "ttl needs a time in second")),
    "hosts-ttl-word": ("hosts {dir}/hosts {\n ttl x\n }", IN_CONF.format("hosts", 3, "ttl needs a number of second")),
    "hosts-ttl-0": ("hosts {dir}/hosts {\n ttl 0\n }", IN_CONF.format("hosts", 3, "ttl provided is invalid")),
    "hosts-ttl-65536": ("hosts {dir}/hosts {\n ttl 65536\n }", IN_CONF.format("hosts", 3, "ttl provided is invalid")),
    "hosts-reload-without": ("hosts {dir}/hosts {\n reload\n }", IN_CONF.format("hosts", 3, "reload needs a duration (zero seconds to disable)")),
    "hosts-reload-word": ("hosts {dir}/hosts {\n reload x\n }", IN_CONF.format("hosts", 3, "invalid duration for reload 'x'")),
    "hosts-reload-negative": ("hosts {dir}/hosts {\n reload -1s\n }", IN_CONF.format("hosts", 3, "invalid negative duration for reload '-1s'")),
    "hosts-inline-behind-fallthrough": ("hosts {dir}/hosts {\n fallthrough\n 192.0.2.1 a\n }", IN_CONF.format("hosts", 4, "unknown property '192.0.2.1'")),
    "hosts-unsupported-alone": ("hosts {dir}/hosts {\n fallthrough_unsupported\n }",
                                IN_CONF.format("hosts", r"[0-9]+", "fallthrough_unsupported requires fallthrough")),
    "hosts-unsupported-argument": ("hosts {dir}/hosts {\n fallthrough\n fallthrough_unsupported x\n }",
                                   IN_CONF.format("hosts", 4, "Wrong argument count or unexpected line ending after 'x'")),
    "hosts-below-a-file": ("hosts {dir}/db/x", IN_CONF.format("hosts", 2, "unable to access hosts file 'DIR/db/x': stat DIR/db/x: not a directory")),
    "whoami-argument": ("whoami x", IN_CONF.format("whoami", 2, "Wrong argument count or unexpected line ending after 'x'")),
}
WARNED = {
    "file-missing": ("file {dir}/nope", '[WARNING] plugin/file: Failed to open "open DIR/nope: no such file or directory": trying again in 1m0s'),
    "file-bad-behind-missing": ("file {dir}/nope\n file {dir}/bad example.net", "[ERROR] plugin/file: failed to parse file \"DIR/bad\" for origin "
                                'example.net. with error DIR/bad: dns: bad A data: "x" at line: 2'),
    "file-root": ("root {dir}\n file sub/../nope", '[WARNING] plugin/file: Failed to open "open DIR/nope: no such file or directory": trying again in 1m0s'),
    "hosts-missing": ("hosts {dir}/nope", "[WARNING] plugin/hosts: File does not exist: DIR/nope"),
    "hosts-folder": ("hosts {dir}", '[ERROR] plugin/hosts: Failed to parse hosts file "DIR": read DIR: is a directory'),
    "hosts-inline-long": ("hosts {dir}/hosts {\n 192.0.2.1 " + "z" * 1025 + "\n }",
                          "[ERROR] plugin/hosts: Inline hosts entries, line 1: name longer than 1024 bytes, dropping the name"),
    "whoami-twice": ("whoami\n whoami x", ""),
}


def lines_of(w):
    return w.output().replace(w.home.name, "DIR").splitlines()


@pytest.mark.parametrize("name", FATAL)
def test_fatal(name):
    body, text = FATAL[name]
    with Waypost("example.org:{dns} {\n " + body + "\n}\n", files=FILES, wait=False) as w:
        assert w.wait() == 1
        last = lines_of(w)[-1]
        assert last == text or "[0-9]+" in text and re.fullmatch(text.replace("(", r"\("), last), w.output()


@pytest.mark.parametrize("name", WARNED)
def test_warned(name):
    body, text = WARNED[name]
    with Waypost("example.org:{dns} {\n " + body + "\n}\n", files=FILES) as w:
        assert text == "" or text in lines_of(w), w.output()

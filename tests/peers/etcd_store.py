"""Keys for an etcd, made up from a seed: everything that may stand below /skydns, wanted or not."""
import json
import random
import re

import etcd_rows

# beside those of the conformance data: trees, odd keys, odd values, groups, large answers
ZONES = etcd_rows.ZONES + " zh.test zt.test zo.test zj.test zm.test zl.test"
LABELS = ["a", "b", "a-b", "c", "x1", "x10", "x2", "dns", "apex", "ns", "_tcp", "_a", "*", "any"]
ODD_LABELS = [
    "Upper", "UPPER", "x" * 63, "x" * 64, "x" * 200, "sp ace", " ", "p%2Fq", "%", "100%", "a.b", ".", "..", "...", "a.", ".a", "a\\.b",
    "\\065", "\\300x", "\\", "a\\", "\\097\\", "q\"uote", "semi;colon", "at@", "(", ")", "$ORIGIN", "#", "?", "+", "=", "~", "`", "'",
    "ü", "日本", "É", "\U0001F600", "\x01", "\x7f", "\t", "\n", "a\0b", "\0", "*a", "a*", "**", "Any", "ANY", "any1", "-", "-a", "_",
    "xn--nxasmq6b", "1", "0", "65535", "apex", "ns", "dns", "K", "ſ", "sp\\032ace", "\\195\\188", "a\\.b.c", "q\\\"uote", "semi\\;colon", "at\\@", "\\001",
    "\\000", "\\\\", "dot\\.", "a,b", "[", "]", "{}", "|", "^", "&", "<", ">", "!"]
ODD_OCTETS = [b"\xff", b"\x80", b"\xc3", b"\xed\xa0\x80", b"\x00\x01\x02", b"\xfe\xff/x", b"a\xffb"]


class Key:
    """path: octets below the prefix, with the leading slash."""

    def __init__(self, path, value, lease=None):
        self.path = path if isinstance(path, bytes) else path.encode()
        self.value = value if isinstance(value, bytes) else value.encode()
        self.lease = lease


# --- values ---------------------------------------------------------------------------------------


def host(r):
    kind = r.randrange(20)
    if kind < 8:
        return f"192.0.2.{r.randrange(1, 20)}"
    if kind < 10:
        return r.choice(["2001:db8::%x", "2001:DB8::%x", "::ffff:192.0.2.%d", "2001:db8:0:0::%x"]) % r.randrange(1, 9)
    if kind < 16:
        return ".".join(r.choice(LABELS[:8]) for _ in range(r.randrange(1, 4))) + \
            r.choice([".way.test", ".way.test", ".way.test.", ".Way.Test", ".zd.test"])
    return r.choice(["ext.partner.example", "al.partner.example.", "gone.partner.example", "EXT.Partner.example", "x.way.test", "h.za.test",
                     "sub.partner.example", "a.wild.partner.example", "www.other.example", "loop1.partner.example", "za.test", "*.b.way.test"])


TEXTS = ["t1", "t2", "x" * 254, "x" * 255, "x" * 256, "x" * 510, "y" * 700, "quo\"te", "semi;colon", "back\\slash", "\\065\\066", "\\",
         "end\\", "\\\\", "tab\tnew\nline", "nul\0", "ünïcödé 日本 \U0001F600", "\x01\x1f\x7f", "é" * 128, "x" * 254 + "é", "\\300", "\\256\\999",
         "x" * 254 + "\\065", "x" * 253 + "\\065", " lead", "trail ", "v=spf1 -all", "$", "heritage=external-dns,external-dns/owner=me"]


def value(r):
    v = {}
    if r.random() < 0.9:
        v["host"] = host(r)
    if r.random() < 0.15:
        v["text"] = r.choice(TEXTS)
    if r.random() < 0.5:
        v["port"] = r.choice([0, 80, 80, 8080, 443, -1, -2, 65535, 65536, 65537, 1 << 40])
    if r.random() < 0.3:
        v["priority"] = r.choice([0, 1, 10, 20, 65535, 65536, -1, (1 << 63) - 1])
    if r.random() < 0.3:
        v["weight"] = r.choice([0, 1, 50, 97, 100, 193, 1000, -5, -100, 1 << 62, (1 << 63) - 1, -(1 << 63)])
    if r.random() < 0.3:
        v["mail"] = r.random() < 0.8
    if r.random() < 0.2:
        v["ttl"] = r.choice([0, 1, 60, 4000, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
    if r.random() < 0.2:
        v["targetstrip"] = r.choice([0, 1, 2, 3, 9, -1, 250, (1 << 63) - 1, -(1 << 63)])
    if r.random() < 0.15:
        v["group"] = r.choice(["g1", "g2", "G1", "", "ü", "x" * 300])
    return json.dumps(v, ensure_ascii=r.random() < 0.5)


# --- texts that are JSON, nearly -------------------------------------------------------------------

ODD_JSON = [
    "", " ", "null", "true", "false", "0", "1e9", '""', '"host"', "[]", "{}", "[{}]", "nul", "nullx", "{", "}", "{{}}", '{"host"}', '{"host":}',
    '{"host":"192.0.2.1",}', '{,"host":"192.0.2.1"}', '{"host":"192.0.2.1"', '{"host":"192.0.2.1"}}', '{"host":"192.0.2.1"} ', '\t\r\n {"host":"192.0.2.1"}\n',
    '{"host":"192.0.2.1"}{"host":"192.0.2.2"}', '{"host":"192.0.2.1"}\0', '\ufeff{"host":"192.0.2.1"}', "{'host':'192.0.2.1'}", '{host:"192.0.2.1"}',
    '{"host":"192.0.2.1"}//c', '/**/{"host":"192.0.2.1"}', '\x0b{"host":"192.0.2.1"}', '\x0c{"host":"192.0.2.1"}', '\u00a0{"host":"192.0.2.1"}',
    '{"HOST":"192.0.2.1"}', '{"hoſt":"192.0.2.1"}', '{"ho\\u017ft":"192.0.2.1"}', '{"targetſtrip":1,"host":"192.0.2.1","port":1}', '{"h\\u006fst":"192.0.2.1"}',
    '{"TARGETSTRIP":1,"host":"192.0.2.1","port":1}', '{"target\u017ftr\u0130p":1,"host":"192.0.2.1","port":1}', '{"pr\u0131ority":1,"host":"192.0.2.1","port":1}',
    '{"host ":"192.0.2.1"}', '{" host":"192.0.2.1"}', '{"host\\u0000":"192.0.2.1"}', '{"key":"/x","host":"192.0.2.1"}', '{"Key":5,"host":"192.0.2.1"}', '{"-":5,"host":"192.0.2.1"}',
    '{"host":"192.0.2.1","host":"192.0.2.2"}', '{"host":"192.0.2.1","HOST":"192.0.2.2"}', '{"HOST":"192.0.2.1","host":"192.0.2.2"}',
    '{"host":"192.0.2.1","HOST":"192.0.2.2","host":"192.0.2.3"}', '{"host":"192.0.2.1","HOST":"192.0.2.2","host":"192.0.2.3","Host":null}',
    '{"host":"192.0.2.1","host":null}', '{"host":null,"host":"192.0.2.1"}', '{"host":5,"host":"192.0.2.1"}', '{"host":"192.0.2.1","host":5}',
    '{"host":"192.0.2.1","HOST":5}', '{"host":["x"],"host":"192.0.2.1"}', '{"host":{"a":1},"host":"192.0.2.1"}', '{"host":"192.0.2.1","port":1,"port":"x","port":2}',
    '{"host":"192.0.2.1","ttl":7,"ttl":null}', '{"host":"192.0.2.1","ttl":7,"TTL":-1}', '{"host":"192.0.2.1","x":1,"x":{}}',
    '{"host":"192.0.2.1","port":1.0}', '{"host":"192.0.2.1","port":1e2}', '{"host":"192.0.2.1","port":1E0}', '{"host":"192.0.2.1","port":-0}', '{"host":"192.0.2.1","ttl":-0}',
    '{"host":"192.0.2.1","port":01}', '{"host":"192.0.2.1","port":+1}', '{"host":"192.0.2.1","port":.5}', '{"host":"192.0.2.1","port":1.}', '{"host":"192.0.2.1","port":0x10}',
    '{"host":"192.0.2.1","port":9223372036854775807}', '{"host":"192.0.2.1","port":9223372036854775808}', '{"host":"192.0.2.1","port":-9223372036854775808}',
    '{"host":"192.0.2.1","port":-9223372036854775809}', '{"host":"192.0.2.1","ttl":4294967295}', '{"host":"192.0.2.1","ttl":4294967296}', '{"host":"192.0.2.1","ttl":-1}',
    '{"host":"192.0.2.1","ttl":1e0}', '{"host":"192.0.2.1","x":1e999}', '{"host":"192.0.2.1","x":99999999999999999999999}', '{"host":"192.0.2.1","x":-1.5e-999}',
    '{"host":"192.0.2.1","x":[1e999,{"y":1e400}]}', '{"host":"192.0.2.1","port":1e999}', '{"host":"192.0.2.1","port":true}', '{"host":"192.0.2.1","port":"80"}',
    '{"host":"192.0.2.1","port":null}', '{"host":"192.0.2.1","port":[]}', '{"host":"192.0.2.1","port":{}}', '{"host":"192.0.2.1","port":NaN}', '{"host":"192.0.2.1","x":Infinity}',
    '{"host":"192.0.2.1","mail":"true"}', '{"host":"192.0.2.1","mail":1}', '{"host":"192.0.2.1","mail":null}', '{"host":"192.0.2.1","mail":True}', '{"host":"192.0.2.1","mail":true}',
    '{"host":"192.0.2.1","text":5}', '{"host":"192.0.2.1","text":null}', '{"host":"192.0.2.1","group":5}', '{"host":"192.0.2.1","group":[]}', '{"host":true}', '{"host":5}',
    '{"host":["192.0.2.1"]}', '{"host":null}', '{"host":""}', '{"text":""}', '{"host":" 192.0.2.1"}', '{"host":"192.0.2.1 "}', '{"host":"192.0.2.1\\n"}', '{"host":"\\u0031\\u00392.0.2.1"}',
    '{"host":"192.0.2.1","x":"\\q"}', '{"host":"192.0.2.1","x":"\\u12"}', '{"host":"192.0.2.1","x":"\\u12G4"}', '{"host":"192.0.2.1","x":"\\ud800"}', '{"text":"\\ud800"}', '{"text":"\\udc00\\ud800"}',
    '{"text":"\\ud800\\u0041"}', '{"text":"\\ud83d\\ude00"}', '{"text":"\\uD83D\\uDE00"}', '{"text":"\\ud83d\\ud83d\\ude00"}', '{"text":"\\u0000"}', '{"text":"a\\u0000b"}', '{"text":"\\b\\f\\n\\r\\t\\/\\\\\\""}',
    '{"text":"\\\'"}', '{"text":"\\x41"}', '{"text":"a\tb"}', '{"text":"a\nb"}', '{"text":"a\x7fb"}', '{"text":"unterminated', '{"text":"unterminated\\', '{"text":"\\u00e9\\u2028"}',
    b'{"text":"\xff\xfe"}', b'{"text":"\xc3"}', b'{"text":"\xe2\x82"}', b'{"text":"\xed\xa0\x80"}', b'{"text":"\xf0\x9f\x98"}', b'{"text":"\xc0\xaf"}', b'{"text":"\xf5\x80\x80\x80"}', b'{"text":"\xc3\x28"}',
    b'{"h\xffst":"x","host":"192.0.2.1"}', b'{"host":"192.0.2.1"\xff}', b'\xef\xbb\xbf{"host":"192.0.2.1"}', b'\xff\xfe{\0}\0', b'{"host":"\xff.way.test"}', b'{"ho\xc5\xbft":"192.0.2.1"}', b'{"ho\xe2\x84\xaat":"192.0.2.1"}',
    '{"host":"192.0.2.1","x":' + "[" * 200 + "]" * 200 + "}", '{"host":"192.0.2.1","x":' + "[" * 200 + "]" * 199 + "}", '{"host":"192.0.2.1","x":' + '{"a":' * 500 + "1" + "}" * 500 + "}",
    '{"host":"192.0.2.1","x":' + "[" * 9999 + "]" * 9999 + "}", '{"host":"192.0.2.1","x":' + "[" * 10000 + "]" * 10000 + "}", '{"host":"192.0.2.1","x":' + "[" * 3000 + "]" * 3000 + "}",
    '{"host":"192.0.2.1"}' + " " * 5000, '{"host":"192.0.2.1","x":"' + "y" * 20000 + '"}',
    # hosts that are nearly names or addresses
    *(json.dumps({"host": h, "port": 1}) for h in (
        ".", "..", "a..b", ".a", "a.", "a..", " ", "a b", "a\\.b", "a\\", "\\", "\\065", "\\300", "\\06", "\\9999", "x" * 63 + ".y", "x" * 64 + ".y", "x." * 126 + "y", "x." * 127 + "y", "x." * 128 + "y",
        "x." * 121 + "way.test", "192.0.2.256", "192.0.2", "192.0.2.1.", "192.0.2.01", "0192.0.2.1", "1.2.3.4.5", "0x7f.1", "3221225985", "::", "::1", "::1%lo", "fe80::1%eth0", "[::1]", "::ffff:192.0.2.1", "::ffff:c000:201",
        "::FFFF:192.0.2.1", "0:0:0:0:0:ffff:192.0.2.1", "::192.0.2.1", "2001:db8::192.0.2.1", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "12345::", ":::", "1::2::3", "2001:DB8::1", "02001:db8::1",
        "2001:0db8::0001", "192.0.2.1:80", "ü.way.test", "a\0b", "\x01.way.test", "@", "*", "*.za.test", "any.za.test", "a/b.za.test", "/", "a;b", "a\"b", "a'b", "(a)", "A.WAY.TEST", "za.test", "ZB.test.", "nothing.test", "mailto:x@y",
        "x.test", "1", "-", "%", "dns.way.test", "apex.dns.way.test", "ns.dns.way.test"))]


def _spelled(r, name):
    """A field's name, as somebody may write it."""
    kind = r.random()
    if kind < 0.6 or not name:
        return json.dumps(name)
    if kind < 0.8:
        return '"' + "".join(c.upper() if r.random() < 0.5 else c for c in name) + '"'
    if kind < 0.9:
        i = r.randrange(len(name))
        return f'"{name[:i]}\\u{ord(name[i]):04x}{name[i + 1:]}"'
    if kind < 0.95:
        return '"' + name.replace("s", "ſ") + '"'
    i = r.randrange(len(name))
    return '"' + name[:i] + r.choice(["", "ſ", "ı", "İ", "K", "\u0301", " ", "_"]) + name[i + 1:] + '"'


_ANY = ["null", "true", "false", "0", "1", "-1", "1.5", "1e3", "-0", "0.0", '"x"', '""', "[]", "{}", '[1,"a"]', '{"host":"q"}', "99999999999999999999", "1e999", '"7"']
_INT = ["0", "1", "80", "65537", "-1", "-0", "2147483648", "4294967296", "9223372036854775807", "-9223372036854775808", "null"]


def odd_object(r):
    """Mostly fields that exist, mostly with values of their type, in any order, number and spelling."""
    parts = []
    for _ in range(r.randrange(1, 7)):
        name = r.choice(["host"] * 4 + ["text"] * 3 + ["port", "priority", "weight", "mail", "ttl", "targetstrip", "group", "key", "x", ""])
        if r.random() < 0.07:
            v = r.choice(_ANY)
        elif name in ("port", "priority", "weight", "targetstrip"):
            v = r.choice(_INT)
        elif name == "ttl":
            v = r.choice(["0", "5", "4294967295", "null", "300"])
        elif name == "mail":
            v = r.choice(["true", "false", "null"])
        elif name == "host":
            v = json.dumps(host(r), ensure_ascii=r.random() < 0.5)
        elif name == "text":
            v = json.dumps(r.choice(TEXTS), ensure_ascii=r.random() < 0.5)
        elif name == "group":
            v = r.choice(['"g1"', '"g2"', '""', "null"])
        else:
            v = r.choice(_ANY)
        ws = ["", "", " ", "\n", "\t ", "\r"]
        parts.append(f"{r.choice(ws)}{_spelled(r, name)}{r.choice(ws)}:{r.choice(ws)}{v}{r.choice(ws)}")
    text = ("{" + ",".join(parts) + "}").encode()
    if r.random() < 0.12:  # one octet goes wrong
        i = r.randrange(len(text))
        text = r.choice([text[:i] + text[i + 1:], text[:i] + bytes([r.randrange(256)]) + text[i + 1:], text[:i] + bytes([r.randrange(256)]) + text[i:],
                         text[:i], text + text[i:]])
    return text


# --- keys -----------------------------------------------------------------------------------------


def conformance():
    """The data sets of tests/scenario/etcd, all at once: they stand below names of their own."""
    return [Key(key[len("/skydns"):], text, 600 + lease if lease and lease > 0 else None)  # it must not end meanwhile
            for data in etcd_rows.data_sets().values() for key, lease, text in data]


def random_trees(r, trees=10, keys=22):
    """Below names of their own: t<n>.zt.test, and a zone's apex."""
    out = {}
    for t in range(trees):
        top = f"/test/zt/t{t}" if t else "/test/zh"
        for _ in range(r.randrange(keys // 2, keys * 3 // 2)):
            depth = r.choice([1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8])
            labels = [r.choice(LABELS) if r.random() < 0.9 else r.choice(ODD_LABELS) for _ in range(depth)]
            text = re.sub("(?i)[.]way[.]test", f".t{t}.zt.test" if t else ".zh.test", value(r))
            path = top + "/" + "/".join(labels) + ("/" if r.random() < 0.03 else "")
            out[path.encode()] = Key(path, text, r.choice([700, 3000, 100000]) if r.random() < 0.05 else None)
    return list(out.values())


def odd_keys(r):
    """Each below a name of its own with a good key beside it, some as the name's only one."""
    out = []
    tails = [b"/" + x.encode() for x in ODD_LABELS] + [b"/" + x for x in ODD_OCTETS]
    tails += [b"//a", b"/a//b", b"/a/", b"/a//", b"//", b"/", b"/ /b", b"/./a", b"/../a", b"/a/./b", b"/a/../b", b"/" + b"/".join([b"yyyyyyy"] * 29),
              b"/" + b"/".join([b"yyyyyyy"] * 30), b"/" + b"/".join([b"long" * 15] * 4), b"/" + b"/".join([b"long" * 15] * 5), b"/" + b"/".join([b"yyyyyyy"] * 90)]
    for n, tail in enumerate(tails):
        v = json.dumps({"host": r.choice(["192.0.2.%d" % (1 + n % 200), "2001:db8::%x" % (n + 1)]), "port": 1000 + n, "mail": True,
                        **({"targetstrip": 1} if r.random() < 0.1 else {})})
        out.append(Key(b"/test/zo/o%d" % n + tail, v))
        if n % 2:
            out.append(Key(b"/test/zo/o%d/good" % n, '{"host":"192.0.2.250","port":7,"mail":true}'))
    for path in ("/test/way/dns/apex/a", "/test/way/dns/apex/b/c", "/test/way/dns/ns/ns1", "/test/way/dns/ns/ns2/x", "/test/zh/dns/ns/Odd", "/test/way//gap", "/test//way/gap",
                 "/test/way/", "/test/way", "/test", "/", "//", "/test/wayward", "/test/way0/x", "/test/way./x", "/test/Way/x", "/TEST/way/x"):
        out.append(Key(path, '{"host":"192.0.2.%d","port":5}' % r.randrange(1, 250)))
    return out


def odd_values(r, n):
    """Each alone, and some beside good ones."""
    texts = ODD_JSON + [odd_object(r) for _ in range(n)]
    out = [Key(f"/test/zj/p{i // 10}/j{i}/i", text) for i, text in enumerate(texts)]
    for i in range(0, len(texts), 5):
        out.append(Key(f"/test/zm/p{i // 25}/m{i}/good", '{"host":"192.0.2.9","port":3,"text":"","mail":true}'))
        out += [Key(f"/test/zm/p{i // 25}/m{i}/o{k}", text) for k, text in enumerate(texts[i:i + 5:3])]
    return out


def reverse(r):
    out = []
    for n in r.sample(range(256), 12):
        out.append(Key(f"/arpa/in-addr/192/0/2/{n}" + ("/x" if n % 5 == 0 else ""), value(r)))
    for n in range(6):
        nibbles = list("20010db8" + "0" * 20 + f"{r.randrange(65536):04x}")
        out.append(Key("/arpa/ip6/" + "/".join(nibbles[:r.choice([32, 32, 31, 20])]), value(r)))
    return out


def groups(r):
    out = {}
    for n in range(12):
        for _ in range(r.randrange(2, 7)):
            path = f"/test/zl/g{n}/" + "/".join(r.choice("abcd") for _ in range(r.choice([1, 1, 1, 2, 3])))
            g = r.choice([None, "g1", "g1", "g2"])
            out[path] = Key(path, json.dumps({"host": f"192.0.2.{r.randrange(1, 250)}", "port": 1, **({"group": g} if g else {})}))
    return list(out.values())


def large(r):
    """Replies that are too large, and a TTL."""
    return [Key("/test/zl/long/i", '{"host":"192.0.2.1","ttl":4294967295}')] + [
        Key(f"/test/zl/escapes/{n}", json.dumps({"text": f"{n}" + "\\065" * 20})) for n in range(20)] + [Key(f"/test/zl/{k}/i{n:03}", json.dumps({"host": f"198.51.{n // 200}.{n % 200}" if n % 7 else "x1.t1.zt.test", "port": n + 1, "mail": n % 3 == 0,
                                                          "text": "" if n % 5 else "z" * 40}))
            for k, count in (("30", 30), ("90", 90), ("400", 400)) for n in range(count)]


def store(seed, values=300):
    r = random.Random(seed)
    keys = conformance() if seed == 1 else []
    keys += random_trees(r) + odd_keys(r) + odd_values(r, values) + reverse(r) + groups(r) + large(r)
    return list({k.path: k for k in keys}.values())

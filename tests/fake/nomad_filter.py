"""The filter language of Nomad (go-bexpr), as much of it as filters over service registrations use:

    Tags contains "blue"    "blue" in Tags    Tags not contains blue    Tags is empty
    ServiceName == web      Port != 80        Datacenter matches "^eu-" and not (JobID == batch)"""
import re

FIELDS = ("ID", "ServiceName", "Namespace", "NodeID", "Datacenter", "JobID", "AllocID", "Tags", "Address", "Port", "CreateIndex",
          "ModifyIndex")
TOKEN = re.compile(r'\s*(?:(==|!=|\(|\)|\.)|"((?:[^"\\]|\\.)*)"|`([^`]*)`|([^\s()"`=!.]+))')

# What is expected depends on the place; clients can only tell it on.
EXPECTED = '1:{} ({}): no match found, expected: "!=", ".", "==", "[", [ \\t\\r\\n] or [a-zA-Z0-9_/]'


class Bad(Exception):
    """The text of the 400."""


class Wrong(Bad):
    """Read well, but it does not fit a registration: seen at the first one that it meets."""


def _tokens(text):
    at, out = 0, []
    text = text.rstrip()
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            break
        mark, quoted, raw, word = m.groups()
        value = quoted if quoted is not None else raw
        out.append((m.start(m.lastindex), "text" if value is not None else "mark" if mark else "word", value if value is not None else mark or word))
        at = m.end()
    if at < len(text):
        raise Bad(EXPECTED.format(at + 1, at))
    return out


class _Reader:
    def __init__(self, text):
        self.tokens, self.at, self.end = _tokens(text), 0, len(text)

    def peek(self, ahead=0):
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else (self.end, "end", "")

    def is_word(self, *words):
        return all(self.peek(i)[1] != "text" and self.peek(i)[2] == w for i, w in enumerate(words))

    def take(self, *words):
        if self.is_word(*words):
            self.at += len(words)
            return True
        return False

    def bad(self):
        at = self.peek()[0]
        return Bad(EXPECTED.format(at + 1, at))

    def value(self):
        _, kind, text = self.peek()
        if kind not in ("text", "word"):
            raise self.bad()
        self.at += 1
        return text

    def either(self):
        left = self.both()
        while self.take("or"):
            left = (lambda a, b: lambda r: a(r) or b(r))(left, self.both())
        return left

    def both(self):
        left = self.one()
        while self.take("and"):
            left = (lambda a, b: lambda r: a(r) and b(r))(left, self.one())
        return left

    def one(self):
        if self.take("not"):
            return (lambda a: lambda r: not a(r))(self.one())
        if self.take("("):
            inner = self.either()
            if not self.take(")"):
                raise self.bad()
            return inner
        return self.match()

    def match(self):
        _, kind, first = self.peek()
        self.at += 1
        if kind not in ("text", "word"):
            self.at -= 1
            raise self.bad()
        if self.take("not", "in"):
            return _test(self.value(), "contains", first, True)
        if self.take("in"):
            return _test(self.value(), "contains", first, False)
        if kind == "text":
            raise self.bad()
        for words, op, negated in ((("==",), "==", False), (("!=",), "==", True), (("contains",), "contains", False),
                                   (("not", "contains"), "contains", True), (("matches",), "matches", False),
                                   (("not", "matches"), "matches", True)):
            if self.take(*words):
                return _test(first, op, self.value(), negated)
        for words, negated in ((("is", "empty"), False), (("is", "not", "empty"), True)):
            if self.take(*words):
                return _test(first, "empty", None, negated)
        raise self.bad()


def _search(pattern, text):
    try:
        return re.search(pattern, text) is not None
    except re.error as e:
        raise Wrong(f'failed to compile regular expression "{pattern}": error parsing regexp: {e}: `{pattern}`')


def _test(field, op, value, negated):
    def passes(reg):
        if field not in FIELDS:
            raise Wrong(f'error finding value in datum: /{field} at part 0: couldn\'t find key: struct field with name "{field}"')
        has = reg[field]
        if op == "empty":
            is_ = not has
        elif op == "contains":
            is_ = value in (has or ())  # a piece of a text, one of the tags
        elif op == "matches":
            is_ = _search(value, str(has))
        elif field == "Tags":
            raise Wrong("unable to find suitable primitive comparison function for matching")
        elif isinstance(has, int) and not value.lstrip("-").isdigit():
            raise Wrong(f'error getting match value in expression: strconv.ParseInt: parsing "{value}": invalid syntax')
        else:
            is_ = str(has) == value
        return is_ != negated
    return passes


def compile_filter(text):
    """A function of a registration's dict; raises Bad."""
    r = _Reader(text)
    passes = r.either()
    if r.peek()[1] != "end":
        raise r.bad()
    return passes

"""Makes bodies: messages of every method by grammar, spelled in every way JSON allows, many of them spoilt. Same seed, same bodies."""
import random

NAMES = ("tools/call", "prompts/get")
URIS = ("resources/read", "resources/subscribe", "resources/unsubscribe")
TASKS = ("tasks/get", "tasks/cancel", "tasks/result", "tasks/update", "notifications/tasks/status")
PLAIN = ("initialize", "ping", "logging/setLevel", "prompts/list", "resources/list", "resources/templates/list", "server/discover",
         "tasks/list", "tools/list", "notifications/cancelled", "notifications/initialized", "notifications/progress",
         "notifications/roots/list_changed")
UNKNOWN = ("Tools/call", "tools/call ", "tools\u2044call", "x", "tool\u017f/call", "rpc.discover", "tools/call\u0301", "__proto__")
META = "io.modelcontextprotocol/"
TEXTS = ("a", "delete_everything", "file:///etc/passwd", "s\u017f", "k\u212a", "\u00e9", "e\u0301", "\U0001f600", "\uffff", "\ufffd", "\u2028",
         "\x7f", "\u0085", "%00", "\\", '"', "/", "\n", " a", "a ", "null", "1", "x://\u202ey", "\U0010ffff", "\ufeffa", "__proto__", "")
NUMBERS = ("0", "-0", "1", "-1", "7", "9007199254740991", "9007199254740993", "-9007199254740993", "9223372036854775807",
           "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616", "1" + "0" * 40,
           "-9" + "9" * 60, "123456789012345678901234567890")
ODD_NUMBERS = ("1.0", "1e2", "1E+2", "1.5", "0.1e1", "-0.0", "1e400", "-1e400", "1e-400", "01", "+1", "1.", ".5", "0x10", "1_000", "NaN",
               "Infinity", "-Infinity", "--1", "-", "1e", "10000000000000000000000.0", "1e22", "9007199254740993.0", "1" + "0" * 400)
# Letters that some folding takes for others.
FOLDS = {"s": "S\u017f", "k": "K\u212a", "i": "I\u0130\u0131", "a": "A\u00e0\uff41", "e": "E\u0435", "o": "O\u043e", "c": "C\u0441", "p": "P\u0440",
         "_": "-", "/": "\u2044\\"}
BAD_BYTES = (b"\xff", b"\xc0\xaf", b"\xc0\x80", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80",
             b"\xf8\x88\x80\x80\x80", b"\x80", b"\xc3", b"\xe2\x82", b"\x00", b"\x1f", b"\xef\xbb\xbf", b"\xfe\xff")
MARKS = (b'"', b",", b":", b"{", b"}", b"[", b"]", b"\\", b"/*x*/", b"//x\n", b"'", b",,", b" ", b"\x0c", b"\xc2\xa0", b"0", b"-")
SURROGATES = (b"\\ud800", b"\\udc00", b"\\ud83d\\u0041", b"\\ude00\\ud83d", b"\\u0000", b"\\uD800\\uD800\\uDC00", b"\\ud83d\\\\ude00",
              b"\\u00e9", b"\\uFEFF", b"\\uffff", b"\\u12", b"\\x41", b"\\'", b"\\u+041", b"\\U0041")


class Raw:
    """A token as it stands in the text."""

    def __init__(self, text):
        self.text = text if isinstance(text, bytes) else text.encode()


class Generator:
    def __init__(self, seed, corpus):
        self.r = random.Random(seed)
        self.corpus = corpus

    def maybe(self, chance):
        return self.r.random() < chance

    # --- messages: objects are lists of [name, value] in a tuple, so that a name can stand twice

    def text(self):
        text = self.r.choice(TEXTS)
        if self.maybe(0.3):
            text += self.r.choice(TEXTS)
        if self.maybe(0.002):
            text = "a" * self.r.choice((8191, 8192, 8193))
        return text or self.r.choice(("", "a"))

    def junk(self, depth=0):
        r = self.r
        kind = r.randrange(8 if depth < 3 else 5)
        if kind == 0:
            return self.text()
        if kind == 1:
            return Raw(r.choice(NUMBERS + ("1.5", "1e3", "-0.0", "1E-2", "1e-400")))
        if kind < 5:
            return r.choice((True, False, None))
        if kind == 5:
            return [self.junk(depth + 1) for _ in range(r.randrange(4))]
        names = ("method", "name", "uri", "Name", "params", "id", "__proto__", "constructor", "x", "", "toString", "taskId", "\u017f", "_meta")
        return ([[name, self.junk(depth + 1)] for name in r.sample(names, r.randrange(5))],)

    def ref(self):
        prompt = self.maybe(0.5)
        ref = [["type", "ref/prompt" if prompt else "ref/resource"], ["name" if prompt else "uri", self.text()]]
        if self.maybe(0.2):
            ref.append(["uri" if prompt else "name", self.text()])
        return (ref,)

    def filter(self):
        members = []
        if self.maybe(0.7):
            members.append(["resourceSubscriptions", [self.text() for _ in range(self.r.randrange(4))]])
        if self.maybe(0.5):
            members.append(["taskIds", [self.text() for _ in range(self.r.randrange(3))]])
        for name in ("toolsListChanged", "promptsListChanged", "resourcesListChanged", "ToolsListChanged", "tool\u017fListChanged", "other"):
            if self.maybe(0.15):
                members.append([name, self.r.choice((True, False, None))])
        return (members,)

    def params(self, method):
        params = []
        if method in NAMES:
            params += [["name", self.text()], ["arguments", ([["name", self.text()], ["Name", self.junk()]],)]]
        elif method in URIS:
            params.append(["uri", self.text()])
        elif method in TASKS:
            params.append(["taskId", self.text()])
        elif method == "completion/complete":
            params += [["ref", self.ref()], ["argument", ([["name", "n"], ["value", self.text()]],)]]
        elif method == "subscriptions/listen":
            params.append(["notifications", self.filter()])
        for name in ("name", "uri", "taskId", "cursor", "__proto__", "ref", "jsonrpc", "method", "id"):
            if self.maybe(0.04) and not any(name == other for other, _ in params):
                params.append([name, self.junk()])
        if self.maybe(0.25):
            meta = [["progressToken", Raw("1")]]
            if self.maybe(0.6):
                meta += [[META + "protocolVersion", self.r.choice(("2026-07-28", "2026-07-28", "2025-11-25", "2027-01-01"))],
                         [META + "clientCapabilities", ([],)], [META + "clientInfo", self.junk()]]
            params.append(["_meta", (meta,)])
        return (params,)

    def identity(self):
        return Raw(self.r.choice(NUMBERS)) if self.maybe(0.6) else self.text()

    def message(self):
        r = self.r
        members = [["jsonrpc", "2.0"]]
        if self.maybe(0.06):
            members += [["id", self.identity()], ["error" if self.maybe(0.3) else "result", self.junk()]]
            if self.maybe(0.2):
                members.append(["params", self.params("tools/call")])
        else:
            method = r.choice(r.choice((NAMES, URIS, TASKS, PLAIN, ("completion/complete",), ("subscriptions/listen",), UNKNOWN)))
            members.append(["method", method])
            if not method.startswith("notifications/") and self.maybe(0.92):
                members.append(["id", self.identity()])
            params = self.params(method)
            if params[0] or self.maybe(0.5):
                members.append(["params", params])
        if self.maybe(0.1):
            members.append([r.choice(("__proto__", "x", "name", "uri", "constructor", "\u00ff", "batch")), self.junk()])
        if self.maybe(0.4):
            r.shuffle(members)
        return (members,)

    # --- what spoils a tree

    def objects(self, value, into):
        if isinstance(value, tuple):
            into.append(value[0])
            for _, inner in value[0]:
                self.objects(inner, into)
        elif isinstance(value, list):
            for inner in value:
                self.objects(inner, into)
        return into

    def respell(self, name):
        """Another name that somebody may take for it."""
        r = self.r
        kind = r.randrange(9)
        if kind < 4 and name:
            letters = list(name)
            for i in r.sample(range(len(letters)), r.randrange(1, min(4, len(letters) + 1))):
                letters[i] = r.choice(FOLDS.get(letters[i].lower(), letters[i].swapcase()))
            return "".join(letters)
        if kind == 4:
            return name.upper()
        if kind == 5:
            return "".join("_" + c.lower() if c.isupper() else c for c in name)
        if kind == 6:
            return name + r.choice((" ", "\u200b", "\u0301", "\ufeff", "\t"))
        if kind == 7:
            return name.lstrip("_")
        return name.title()

    def spoil(self, tree):
        r = self.r
        members = r.choice([members for members in self.objects(tree, []) if members] or [[["x", None]]])
        at = r.randrange(len(members))
        name, value = members[at]
        kind = r.randrange(8)
        other = value if self.maybe(0.2) else self.junk() if self.maybe(0.4) else r.choice((self.text(), "tools/list", "tools/call"))
        if kind < 2:
            members.insert(r.randrange(len(members) + 1), [name, other])
        elif kind < 4:
            members.insert(r.randrange(len(members) + 1), [self.respell(name), other])
        elif kind == 4:
            members[at][0] = self.respell(name)
        elif kind == 5:
            members[at][1] = self.junk()
        elif kind == 6:
            members[at][1] = Raw(r.choice(ODD_NUMBERS))
        else:
            members[at][1] = Raw(b'"' + r.choice((b"", b"a")) + r.choice(SURROGATES + BAD_BYTES) + r.choice((b"", b"b")) + b'"')

    # --- text

    def string(self, text):
        r = self.r
        style = r.random()
        out = []
        for c in text:
            if c in '"\\' or c < " " or style < 0.06 or (style < 0.25 and self.maybe(0.25)):
                units = c.encode("utf-16-be")
                escape = "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
                short = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\r": "\\r"}.get(c)
                out.append(short if short and self.maybe(0.5) else escape.upper().replace("\\U", "\\u") if self.maybe(0.3) else escape)
            else:
                out.append(c)
        return b'"' + "".join(out).encode() + b'"'

    def gap(self):
        return self.r.choice((b" ", b"\n", b"\t", b"\r\n", b"  ")) if self.spaced and self.maybe(0.3) else b""

    def write(self, value, out):
        if isinstance(value, tuple):
            out.append(b"{" + self.gap())
            for i, (name, inner) in enumerate(value[0]):
                out += [b"," + self.gap() if i else b"", self.string(name), self.gap(), b":", self.gap()]
                self.write(inner, out)
                out.append(self.gap())
            out.append(b"}")
        elif isinstance(value, list):
            out.append(b"[" + self.gap())
            for i, inner in enumerate(value):
                out.append(b"," if i else b"")
                self.write(inner, out)
                out.append(self.gap())
            out.append(b"]")
        elif isinstance(value, Raw):
            out.append(value.text)
        elif isinstance(value, str):
            out.append(self.string(value))
        else:
            out.append({True: b"true", False: b"false", None: b"null"}[value])

    def serialize(self, tree):
        self.spaced = self.maybe(0.25)
        out = [self.gap()]
        self.write(tree, out)
        out.append(self.gap())
        return b"".join(out)

    # --- what spoils a text

    def damage(self, body):
        r = self.r
        at = r.randrange(len(body) + 1)
        end = min(len(body), at + r.choice((1, 1, 2, 5, 20)))
        kind = r.randrange(14)
        if kind == 0:
            return body[:at]
        if kind == 1:
            return body[:at] + body[end:]
        if kind == 2 and at < len(body):
            return body[:at] + bytes([body[at] ^ 1 << r.randrange(8)]) + body[at + 1:]
        if kind == 3:
            return body[:at] + r.choice(BAD_BYTES + SURROGATES) + body[at:]
        if kind == 4:
            return body[:at] + r.choice(MARKS) + body[at:]
        if kind == 5:
            other = r.choice(self.corpus)
            return body[:at] + other[r.randrange(len(other) + 1):]
        if kind == 6:
            return body + r.choice((b"{}", b"]", b"\x00", b" \x00 ", b"null", b'{"method":"tools/call"}', b",", b"\x1a", b"\x0c", body))
        if kind == 7:
            return r.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\x1e", b")]}'\n", b"\x0b", b"\xe2\x80\xa8")) + body
        if kind == 8:
            return body.decode("utf-8", "replace").encode(r.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "latin-1")), "replace")
        if kind == 9:
            depth = r.choice((60, 61, 62, 63, 64, 65, 2000, 20000))
            return body.replace(b"null", b"[" * depth + b"]" * depth, 1)
        if kind == 10:
            return body[:at] + body[at:end] * 2 + body[end:]
        if kind == 11:
            return body.replace(b"null", r.choice(ODD_NUMBERS).encode(), 1)
        if kind == 12:
            other = r.choice(self.corpus)
            return other[:r.randrange(len(other) + 1)] + body[at:]
        return body.replace(b"}", r.choice((b",}", b"}}", b",\"x\":1}")), 1)

    def huge(self):
        """Near the ceilings on values and size."""
        n = self.r.choice((1000, 131000, 131100))
        return b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":[' + b",".join([b"1"] * n) + b'],"name":"a"}}'

    def batch(self):
        return [self.message() for _ in range(self.r.choice((0, 1, 2, 64, 65) if self.maybe(0.1) else (1, 2, 3)))]

    def body(self):
        r = self.r
        if self.maybe(0.0002):
            return self.huge()
        if self.maybe(0.08):
            body = r.choice(self.corpus)
        else:
            tree = self.batch() if self.maybe(0.1) else self.message()
            while self.maybe(0.33):
                self.spoil(tree)
            body = self.serialize(tree)
        while self.maybe(0.15):
            body = self.damage(body)
        return body

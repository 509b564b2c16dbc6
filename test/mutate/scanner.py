"""Finds where a source can be mutated, and rewrites it so that each place asks MUTANT(i), whether its mutant is switched on."""
import re
import sys

from clang.cindex import CursorKind as K, Index, StorageClass, TypeKind as T

PLACES = 4096  # in one file

# Each comparison: its negation, its neighbour, and by how much a constant on its right moves to become what the neighbour is not.
COMPARISONS = {"==": ("!=", ">=", 0), "!=": ("==", "<", 0), "<": (">=", "<=", -1), "<=": (">", "<", 1),
               ">": ("<=", ">=", 1), ">=": ("<", ">", -1)}
GOOD = {"mcp_status_t": ("MCP_OK", "MCP_INTERNAL"), "apr_status_t": ("APR_SUCCESS", "APR_EGENERAL")}
TEXT = re.compile(r"""(['"])(?:\\.|(?!\1).)*\1""")
TEXT_OR_COMMENT = re.compile(TEXT.pattern + r"|/\*.*?\*/|//[^\n]*", re.S)


class Scanner:
    """Finds the places of one file, and rewrites it with a switch at each."""

    def __init__(self, path, args, skip=()):
        # One character per byte, as libclang counts.
        self.text = path.read_text("latin-1")
        self.skip = skip  # lines
        self.mutants = []
        self.edits = []
        unit = Index.create().parse(str(path), args)
        wrong = [str(d) for d in unit.diagnostics if d.severity >= 3]
        if wrong:
            sys.exit(f"error: libclang cannot read {path}: {wrong[0]}")
        for function in unit.cursor.get_children():
            if function.kind == K.FUNCTION_DECL and function.is_definition() and str(function.location.file) == str(path):
                self.result = function.result_type
                for child in function.get_children():
                    if child.kind == K.COMPOUND_STMT:
                        self.visit(child, function)

    def source(self, start, end):
        """Without comments."""
        return TEXT_OR_COMMENT.sub(lambda m: " " if m.group().startswith("/") else m.group(), self.text[start:end])

    def is_whole(self, cursor):
        """Is its text all of it? What comes out of the middle of a macro has the place of the macro."""
        text = TEXT.sub("", self.source(cursor.extent.start.offset, cursor.extent.end.offset))
        return text.count("(") == text.count(")") and cursor.extent.start.line not in self.skip

    def stands_between(self, cursor, before, after):
        start, end = cursor.extent.start.offset, cursor.extent.end.offset
        return (self.is_whole(cursor) and self.source(0, start).rstrip().endswith(before) and
                self.source(end, len(self.text)).lstrip().startswith(after))

    def add(self, cursor, old, new):
        """A mutant; returns the question whether it is switched on."""
        start = cursor.extent.start
        old, new = " ".join(old.split()), " ".join(new.split())
        self.mutants.append({"line": start.line, "column": start.column, "old": old, "new": new})
        if len(self.mutants) >= PLACES:
            sys.exit("error: a file has too many places")
        return f"MUTANT({len(self.mutants)})"

    def wrap(self, cursor, before, after, middle=None):
        """middle: (start, end, text). What is visited later lies within what was visited before."""
        order = len(self.edits)
        start, end = cursor.extent.start.offset, cursor.extent.end.offset
        self.edits.append((start, 2, order, start, before))
        self.edits.append((end, 0, -order, end, after))
        if middle:
            self.edits.append((middle[0], 1, 0, middle[1], middle[2]))

    def rewritten(self):
        out, at = [], 0
        for start, _, _, end, text in sorted(self.edits):
            out += self.text[at:start], text
            at = end
        return "".join(out) + self.text[at:]

    def visit(self, cursor, parent):
        children = list(cursor.get_children())
        if cursor.kind == K.CXX_UNARY_EXPR or (cursor.kind == K.VAR_DECL and cursor.storage_class == StorageClass.STATIC):
            return  # sizeof, and initializers, which have to be constant
        if cursor.kind == K.CASE_STMT:
            children = children[1:]
        elif cursor.kind == K.BINARY_OPERATOR:
            self.operator(cursor, *children)
        elif cursor.kind == K.IF_STMT:
            self.condition(children[0], "10", "(", ")")
        elif cursor.kind == K.CONDITIONAL_OPERATOR:
            self.condition(children[0], "10", "", "?")
        elif cursor.kind == K.WHILE_STMT:
            self.condition(children[0], "0", "(", ")")
        elif cursor.kind == K.DO_STMT:
            self.condition(children[1], "0", "(", ")")
        elif cursor.kind == K.FOR_STMT:
            for child in children[:-1]:
                self.condition(child, "0", ";", ";")
        elif cursor.kind == K.RETURN_STMT and children:
            self.answer(children[0])
        elif cursor.kind == K.CALL_EXPR and parent.kind == K.COMPOUND_STMT and cursor.type.kind == T.VOID:
            self.call(cursor)
        for child in children:
            self.visit(child, cursor)

    def condition(self, cursor, values, before, after):
        if not self.stands_between(cursor, before, after):
            return
        old = self.source(cursor.extent.start.offset, cursor.extent.end.offset)
        choice = "".join(f"{self.add(cursor, old, value)} ? {value} : " for value in values)
        self.wrap(cursor, f"({choice}!!(", "))")

    def operator(self, cursor, left, right):
        start, end = left.extent.end.offset, right.extent.start.offset
        operator = self.source(start, end).strip()
        if start >= end or not (self.is_whole(cursor) and self.is_whole(left) and self.is_whole(right)):
            return
        a = self.source(left.extent.start.offset, start)
        b = self.source(end, right.extent.end.offset)
        if operator in ("&&", "||"):
            # An operand that is switched off is what the other makes no difference to.
            on = "%s || (" if operator == "&&" else "!%s && ("
            both = f"{a} {operator} {b}"
            drop_a, drop_b = on % self.add(cursor, both, b), on % self.add(cursor, both, a)
            self.wrap(cursor, f"(({drop_a}", ")))", (start, end, f")) {operator} ({drop_b}"))
        elif operator in COMPARISONS:
            self.comparison(cursor, left, right, operator, a, b)

    def comparison(self, cursor, left, right, operator, a, b):
        negation, neighbour, step = COMPARISONS[operator]
        number = all(self.is_number(side) for side in (left, right))
        i = len(self.mutants)
        others = [negation]
        if number and (step or b.strip() != "0"):
            others.append(neighbour)
        choice = "".join(f"{self.add(cursor, f'{a} {operator} {b}', f'{a} {o} {b}')} ? l{i} {o} r{i} : " for o in others)
        moved = ""
        if number and step and b.strip() != "0" and re.fullmatch(r"[A-Z0-9_ ()*+-]+", b):
            moved = f" {'+' if step > 0 else '-'} {self.add(cursor, f'{a} {operator} {b}', f'{a} {operator} {b} {step:+d}')}"
        self.wrap(cursor, f"({{ __auto_type l{i} = (", f"){moved}; {choice}l{i} {operator} r{i}; }})",
                  (left.extent.end.offset, right.extent.start.offset, f"); __auto_type r{i} = ("))

    @staticmethod
    def is_number(cursor):
        """Of a type with an order that means something: no pointer, no enumeration."""
        while True:
            if cursor.type.get_canonical().kind in (T.POINTER, T.ENUM):
                return False
            if cursor.referenced and cursor.referenced.kind == K.ENUM_CONSTANT_DECL:
                return False
            children = list(cursor.get_children())
            if cursor.kind not in (K.UNEXPOSED_EXPR, K.PAREN_EXPR) or len(children) != 1:
                return True
            cursor = children[0]

    def answer(self, cursor):
        if not self.stands_between(cursor, "return", ";"):
            return
        old = self.source(cursor.extent.start.offset, cursor.extent.end.offset)
        if self.result.spelling in GOOD:
            good, bad = GOOD[self.result.spelling]
            new = bad if old == good else good
            self.wrap(cursor, f"({self.add(cursor, old, new)} ? {new} : (", "))")
        elif self.result.spelling == "int":
            i = len(self.mutants)
            self.wrap(cursor, f"({{ int a{i} = (", f"); {self.add(cursor, old, f'!({old})')} ? !a{i} : a{i}; }})")
        elif self.result.kind == T.POINTER and old != "NULL":
            self.wrap(cursor, f"({self.add(cursor, old, 'NULL')} ? NULL : (", "))")

    def call(self, cursor):
        if self.stands_between(cursor, (";", "{", "}"), ";"):
            old = self.source(cursor.extent.start.offset, cursor.extent.end.offset)
            self.wrap(cursor, f"({self.add(cursor, old + ';', ';')} ? (void)0 : ", ")")

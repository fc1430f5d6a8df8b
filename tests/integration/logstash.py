"""The language of Logstash's pipelines, as far as it can be checked without Logstash.

A recursive reading of the grammar in Logstash's documentation of its configuration files: sections, plugins, attributes, values,
conditions. What the names of plugins and their attributes mean is not known here, except that those are told which are used.
"""

import re

TOKENS = re.compile(
    r"""(?P<space>\s+|\#[^\n]*\n)
      | (?P<string>"(?:\\"|[^"])*"|'(?:\\'|[^'])*')
      | (?P<regexp>/(?:\\/|[^/])*/)
      | (?P<number>-?\d+(?:\.\d*)?)
      | (?P<selector>(?:\[[^\]\[,"']+\])+)
      | (?P<sign>=>|==|!=|<=|>=|=~|!~|[{}()\[\],<>!])
      | (?P<word>[A-Za-z_][\w-]*)""",
    re.VERBOSE,
)
COMPARE = {"==", "!=", "<=", ">=", "<", ">", "=~", "!~"}
BOOLEAN = {"and", "or", "xor", "nand"}


class Reader:
    def __init__(self, text):
        self.text, self.at, self.plugins = text, 0, []

    def skip(self):
        while (found := TOKENS.match(self.text, self.at)) and found.lastgroup == "space":
            self.at = found.end()

    def peek(self):
        self.skip()
        found = TOKENS.match(self.text, self.at)
        return (found.lastgroup, found.group(), found.end()) if found else (None, self.text[self.at : self.at + 20], self.at)

    def take(self, *wanted):
        """The next piece, which is of this kind, or is this text."""
        kind, piece, end = self.peek()
        if kind is None or not {kind, piece} & set(wanted):
            line = self.text.count("\n", 0, self.at) + 1
            raise SyntaxError(f"line {line}: expected {' or '.join(wanted)}, found {piece!r}")
        self.at = end
        return piece

    def has(self, *wanted):
        kind, piece, _ = self.peek()
        return kind is not None and bool({kind, piece} & set(wanted))

    def sections(self):
        found = []
        while self.peek()[1]:
            found.append(self.take("input", "filter", "output"))
            self.block(found[-1])
        return found

    def block(self, section):
        self.take("{")
        while not self.has("}"):
            if self.has("if"):
                self.branch(section)
            else:
                self.plugin(section)
        self.take("}")

    def branch(self, section):
        self.take("if")
        self.condition()
        self.block(section)
        while self.has("else"):
            self.take("else")
            if self.has("if"):
                self.take("if")
                self.condition()
                self.block(section)
            else:
                return self.block(section)

    def plugin(self, section):
        name, attributes = self.take("word", "string"), {}
        self.take("{")
        while not self.has("}"):
            attribute = self.take("word", "string")
            self.take("=>")
            attributes[attribute] = self.value()
        self.take("}")
        self.plugins.append((section, name, attributes))
        return name

    def value(self):
        if self.has("["):
            return self.items()
        if self.has("selector"):
            # An array of one word has the form of a selector.
            return [self.take("selector")]
        if self.has("{"):
            return self.hash()
        if self.has("word"):
            before = self.at
            word = self.take("word")
            if self.has("{"):
                self.at = before
                return self.plugin("codec")
            return word
        return self.take("string", "number")

    def items(self):
        self.take("[")
        values = []
        while not self.has("]"):
            values.append(self.value())
            if not self.has("]"):
                self.take(",")
                assert not self.has("]"), "a comma behind the last item"
        self.take("]")
        return values

    def hash(self):
        self.take("{")
        entries = {}
        while not self.has("}"):
            name = self.take("word", "string", "number")
            self.take("=>")
            entries[name] = self.value()
        self.take("}")
        return entries

    def condition(self):
        self.expression()
        while self.has(*BOOLEAN):
            self.take(*BOOLEAN)
            self.expression()

    def expression(self):
        if self.has("("):
            self.take("(")
            self.condition()
            return self.take(")")
        if self.has("!"):
            self.take("!")
            return self.take("selector") if self.has("selector") else self.expression()
        self.operand()
        if self.has("not"):
            self.take("not")
            self.take("in")
            return self.operand()
        if self.has("in", *COMPARE):
            self.take("in", *COMPARE)
            return self.operand()
        return None

    def operand(self):
        return self.items() if self.has("[") else self.take("string", "number", "selector", "regexp")


def read(text):
    """The sections and the plugins with their attributes; a SyntaxError with its line where the language is not kept."""
    reader = Reader(text)
    return reader.sections(), reader.plugins

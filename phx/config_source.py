"""Where a configuration's text comes from: a YAML file and the environment, as one tree of nested dicts and lists.

Every scalar stays text, so that a decimal stays exact and no word is mistaken for a boolean. Duplicate keys, anchors,
aliases, tags and further documents are refused: nobody needs them here, and each has bitten somebody.
"""

import re

import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 12
PREFIX = "PHX__"

# A key that names a secret, or a value that looks like one. Secrets come from the environment or a 0600 file.
SECRET_KEY = re.compile(r"secret|passw|token|api_?key|private_?key", re.IGNORECASE)
SECRET_VALUE = re.compile(r"[A-Za-z0-9+=]{48,}|-----BEGIN")


class ConfigError(ValueError):
    """A configuration that is refused; `errors` names every fault with its place and path."""

    def __init__(self, errors: list[str]):
        super().__init__("\n".join(errors))
        self.errors = errors


class Source:
    """A parsed configuration text: `tree`, the `lines` its keys stand on (by path), and the `errors` met on the way."""

    def __init__(self, name: str):
        self.name = name
        self.tree: dict = {}
        self.lines: dict[tuple, str] = {}
        self.errors: list[str] = []

    def where(self, path: tuple) -> str:
        """Return where a path was written, or where the nearest section around it was."""
        for size in range(len(path), 0, -1):
            if path[:size] in self.lines:
                return self.lines[path[:size]]
        return self.name

    def refuse(self, path: tuple, reason: str) -> None:
        self.errors.append(f"{self.where(path)}: {'.'.join(map(str, path)) or 'file'}: {reason}")


def read_yaml(text: bytes, name: str) -> Source:
    """Return the tree of a YAML document; what cannot be accepted stands in its `errors`."""
    source = Source(name)
    if len(text) > MAX_BYTES:
        source.refuse((), f"{len(text)} bytes, at most {MAX_BYTES} are read")
        return source
    try:
        tree = Builder(source, text).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        source.errors.append(f"{place}: not YAML: {getattr(error, 'problem', None) or error}")
        return source
    if isinstance(tree, dict):
        source.tree = tree
    elif tree != "":
        source.refuse((), "expected sections (key: value), found something else")
    return source


class Builder:
    """Turns the events of a YAML parser into a tree, remembering the line of each key."""

    def __init__(self, source: Source, text: bytes | str):
        self.source = source
        self.events = yaml.parse(text, Loader=yaml.CBaseLoader)

    def document(self):
        tree = ""
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.source.refuse((), "more than one document")
                    return tree
                tree = self.node(next(self.events), ())
        return tree

    def node(self, event, path: tuple):
        self.check(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(event, (*path, len(items))))
            return items
        return getattr(event, "value", "")

    def mapping(self, path: tuple) -> dict:
        found = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = f"{self.source.name}:{event.start_mark.line + 1}"
            key = self.node(event, path)
            if not isinstance(key, str):
                self.source.refuse(path, "a key must be plain text")
                key = repr(key)
            here = (*path, key)
            if key in found:
                self.source.errors.append(
                    f"{line}: {'.'.join(map(str, here))}: duplicate key, first at {self.source.where(here)}"
                )
            else:
                self.source.lines[here] = line
            value = self.node(next(self.events), here)
            found.setdefault(key, value)
        return found

    def check(self, event, path: tuple) -> None:
        if len(path) > MAX_DEPTH:
            raise yaml.YAMLError(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self.source.refuse(path, "anchors and aliases are not accepted")
        if getattr(event, "tag", None) not in (None, "!"):
            self.source.refuse(path, f"the tag {event.tag} is not accepted")


def overlay(source: Source, environ) -> None:
    """Lay PHX__SECTION__KEY=value variables over the tree. A value is text, or a YAML list or mapping in one line.

    PHX__SYMBOLS__BTCUSDC=null leaves a symbol of the file out.
    """
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        path = path_of(name)
        if "" in path:
            source.errors.append(f"{name}: expected {PREFIX}SECTION__KEY")
            continue
        if len(path) == 2 and path[0] == "symbols" and environ[name] == "null":
            leave_out(source, path)
            continue
        value = read_value(environ[name], name, source)
        section = source.tree
        for step in path[:-1]:
            inner = section.get(step)
            if not isinstance(inner, dict):
                inner = section[step] = {}
            section = inner
        section[path[-1]] = value
        forget(source.lines, path)
        source.lines[path] = f"environment {name}"


def leave_out(source: Source, path: tuple) -> None:
    section = source.tree.get(path[0])
    if isinstance(section, dict):
        section.pop(path[1], None)
    forget(source.lines, path)


def path_of(name: str) -> tuple:
    """Return the keys a variable's name stands for: lower case, except that a symbol is written in capitals."""
    parts = name[len(PREFIX) :].split("__")
    symbols = parts[0].lower() == "symbols"
    return tuple(part if symbols and i == 1 else part.lower() for i, part in enumerate(parts))


def read_value(text: str, name: str, source: Source):
    if text[:1] not in ("[", "{"):
        return text
    inner = Source(name)
    try:
        value = Builder(inner, text).document()
    except yaml.YAMLError as error:
        inner.errors.append(f"environment {name}: {getattr(error, 'problem', None) or error}")
        value = ""
    source.errors += inner.errors
    return value


def forget(lines: dict, path: tuple) -> None:
    for other in [other for other in lines if other[: len(path)] == path]:
        del lines[other]

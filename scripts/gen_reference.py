"""Write docs/reference/{settings,errors,cli,python}.md from the code; `--check` only tells what is stale.

The pages are a function of the source alone: not of the Python version, the terminal or the environment.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

import weighbridge
from weighbridge import settings
from weighbridge.errors import WeighbridgeError

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by scripts/gen_reference.py from the code: edit that, then `make reference`. -->\n"


def settings_page() -> str:
    """The table of settings."""
    lines = [
        "# Settings",
        "",
        NOTE,
        "A value comes from the highest of: command-line flag, argument, environment, `weighbridge.toml` in",
        "the working folder, `~/.config/weighbridge/config.toml`, default. In the files a setting is one",
        'line, `name = "value"`. `weighbridge.Settings` holds them all; `Settings.origin(name)` says where a',
        "value came from. Variables after the first in a row are other programs'; ours wins over them.",
        "",
        "| setting | variables | takes | default | what it does |",
        "|---|---|---|---|---|",
    ]
    for setting in settings.TABLE:
        variables = ", ".join(f"`{name}`" for name in (setting.env, *setting.aliases))
        cells = (f"`{setting.name}`", variables, setting.allowed, setting.default_text, setting.help)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """One section an error class, parents before children."""

    def sections(kind: type[WeighbridgeError]) -> Iterator[str]:
        parent = kind.__mro__[1]
        kin = f", a kind of `{parent.__name__}`" if issubclass(parent, WeighbridgeError) else ""
        again = " The same call may succeed later." if kind.retryable else ""
        yield f"## `{kind.code}`\n\n`{kind.__name__}`{kin}. {inspect.getdoc(kind)}{again}\n"
        for child in kind.__subclasses__():
            yield from sections(child)

    intro = (
        "Every error has a stable `code`, a `message` that names the thing and says what is wrong, a\n"
        "`hint` that says what to do next, small JSON-safe `details`, and `retryable`. Catch\n"
        "`weighbridge.WeighbridgeError` for all of them, or a class of `weighbridge.errors`.\n"
    )
    return "\n".join(["# Errors\n", NOTE, intro, *sections(WeighbridgeError)])


def python_page() -> str:
    """Signature and docstring of every public name."""
    parts = [
        "# Python\n",
        NOTE,
        "Everything that `import weighbridge` offers. Names that W&B has keep its meaning and arguments.\n",
    ]
    for name in weighbridge.__all__:
        parts.append(f"## `{name}`\n")
        parts.extend(_described(name))
    return "\n".join(parts)


def _described(name: str) -> Iterator[str]:
    module = import_module(weighbridge._HOME_OF[name])
    if name == "run":
        yield _text(module.current).lstrip("\n")
        return
    if name in weighbridge._OF_THE_CURRENT_RUN:
        yield f"The {name} of the current run, looked up at each access. Raises NotInitialised without one.\n"
        return
    if name == "errors":
        yield "The module of all error classes; see [Errors](errors.md).\n"
        return
    value = getattr(module, name)
    if inspect.isclass(value):
        yield _signature(name, value) + _text(value)
        for member in _members(value):
            attribute = inspect.getattr_static(value, member)
            if isinstance(attribute, property):
                yield f"### `{name}.{member}`\n{_text(attribute)}"
            else:
                signature = _signature(member, getattr(value, member))
                yield f"### `{name}.{member}`\n\n{signature}{_text(attribute)}"
    else:
        yield _signature(name, value) + _text(value)


def _members(kind: type) -> list[str]:
    """Public methods and properties of a class and of our classes below it, its own first."""
    callables = (property, staticmethod, classmethod)
    found = [
        name
        for base in kind.__mro__
        if base.__module__.startswith("weighbridge.")
        for name, value in vars(base).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, callables))
    ]
    return list(dict.fromkeys(found))


class _Bare(str):
    """An annotation that shows itself without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _signature(name: str, value: Callable[..., object]) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # a class of C or of the enum machinery shows none
        return ""

    def bare(annotation: object) -> object:
        return _Bare(annotation) if isinstance(annotation, str) else annotation

    parameters = [
        p.replace(annotation=bare(p.annotation)) for p in signature.parameters.values() if p.name != "self"
    ]
    signature = signature.replace(parameters=parameters, return_annotation=bare(signature.return_annotation))
    text = re.sub(r" at 0x[0-9a-f]+", "", f"{name}{signature}")  # a sentinel's address differs each time
    return f"```text\n{text}\n```\n"


def _text(value: object) -> str:
    text = inspect.getdoc(value) or ""
    return f"\n{text}\n" if text else ""


def cli_page() -> str:
    """Every command with its arguments, from the parser itself."""
    parser: argparse.ArgumentParser = import_module("weighbridge.cli.main").build_parser()
    parts = ["# Command line\n", NOTE, f"{parser.description or ''}\n"]
    parts.extend(describe_command(parser))
    return "\n".join(parts)


def describe_command(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A command's arguments, then those of the commands below it."""
    children: dict[str, argparse.ArgumentParser] = {}
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            children.update(action.choices)
        elif action.dest != "help" and action.help is not argparse.SUPPRESS:
            names = ", ".join(f"`{option}`" for option in action.option_strings) or f"`{action.dest}`"
            rows.append(f"| {names} | {(action.help or '').replace('|', '/').replace('%%', '%')} |")
    if parser.prog.count(" ") or not children:
        yield f"## `{parser.prog}`\n"
        yield f"{parser.description or ''}\n"
    if rows:
        yield "| argument | meaning |\n|---|---|\n" + "\n".join(rows) + "\n"
    seen: set[int] = set()
    for child in children.values():
        if id(child) not in seen:  # a command with an alias stands twice
            seen.add(id(child))
            yield from describe_command(child)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "errors.md": errors_page,
    "python.md": python_page,
    "cli.md": cli_page,
}


def stale(names: Sequence[str]) -> list[str]:
    """Those pages whose text on disk is not what the code gives now."""
    return [
        name
        for name in names
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text() != PAGES[name]()
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the pages named, or all; with --check write none and fail when one is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", help=f"of {', '.join(PAGES)}; all when none is named")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.pages) - set(PAGES)):
        parser.error(f"no such page: {', '.join(unknown)}")
    old = stale(options.pages or list(PAGES))
    for name in old:
        if not options.check:
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / name).write_text(PAGES[name]())
        print(f"docs/reference/{name} {'is stale; run make reference' if options.check else 'written'}")
    return 1 if old and options.check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The source tree as the laws see it: modules, imports, sizes, habits.

Each checker takes modules and returns sentences, one a violation; none of them asserts.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from tests.arch import rules

OURS = "weighbridge"
Entry = TypeVar("Entry")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Module(NamedTuple):
    """One source file; `name` is dotted and leaves out the leading `weighbridge`."""

    name: str
    path: Path
    source: str
    tree: ast.Module


class Import(NamedTuple):
    """One import: what of, which line, whether it runs when the importing module is loaded."""

    target: str
    line: int
    is_top: bool
    is_typing: bool


def load(package: Path) -> dict[str, Module]:
    """Every module below a package folder, by name."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        source = path.read_text()
        modules[name] = Module(name, path, source, ast.parse(source, str(path)))
    return modules


def of_layer(name: str, table: Mapping[str, Entry]) -> Entry | None:
    """The entry whose key is the longest of the module's name and the packages around it."""
    parts = name.split(".")
    keys = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((table[key] for key in keys if key in table), None)


def is_under(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a module is one of these or inside one of them; "" holds everything."""
    return any(not prefix or name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def imports(module: Module) -> Iterator[Import]:
    """Every import of a module, wherever it stands."""

    def walk(node: ast.AST, is_top: bool, is_typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, is_top, is_typing)
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    yield Import(f"{child.module}.{alias.name}", child.lineno, is_top, is_typing)
            typing_only = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
            inner_top = is_top and not isinstance(child, FUNCTIONS)
            yield from walk(child, inner_top, is_typing or typing_only)

    yield from walk(module.tree, True, False)


def ours(found: Import, modules: Mapping[str, Module]) -> str | None:
    """The name of our module an import loads, or None for a module of others."""
    if found.target.partition(".")[0] != OURS:
        return None
    name = found.target.removeprefix(OURS).removeprefix(".")
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def wrong_arrows(modules: Mapping[str, Module]) -> list[str]:
    """Imports between our layers that the table does not allow, type-checking imports included."""
    wrong = []
    for module in modules.values():
        allowed = of_layer(module.name, rules.MAY_IMPORT)
        if allowed is None:
            wrong.append(f"{module.path.name}: module {module.name} belongs to no layer of rules.MAY_IMPORT")
            continue
        for found in imports(module):
            target = ours(found, modules)
            if target is None or found.target == f"{OURS}.__version__" or is_under(target, allowed):
                continue
            doors = rules.MAY_IMPORT_IN_FUNCTIONS.get(module.name, ())
            if (found.is_typing or not found.is_top) and is_under(target, doors):
                continue
            wrong.append(f"{module.name}:{found.line} imports {target or 'the package root'}")
    return wrong


def wrong_packages(modules: Mapping[str, Module]) -> list[str]:
    """Imports of other people's packages where the layer may not have them."""
    wrong = []
    for module in modules.values():
        at_top = of_layer(module.name, rules.THIRD_PARTY_AT_TOP) or frozenset()
        in_functions = of_layer(module.name, rules.THIRD_PARTY_IN_FUNCTIONS)
        for found in imports(module):
            package = found.target.partition(".")[0]
            if package == OURS or package in sys.stdlib_module_names or package in at_top:
                continue
            is_late = found.is_typing or not found.is_top
            if not is_late or (in_functions is not None and package not in in_functions):
                where = "inside a function" if is_late else "at module level"
                wrong.append(f"{module.name}:{found.line} imports {package} {where}")
    return wrong


def cycles(modules: Mapping[str, Module]) -> list[str]:
    """Groups of modules that import each other while loading, each as one sentence."""
    edges = {
        module.name: {
            target
            for found in imports(module)
            if found.is_top
            and not found.is_typing
            and (target := ours(found, modules)) not in (None, module.name)
        }
        for module in modules.values()
    }
    reach: dict[str, set[str]] = {}
    for start in edges:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for target in edges[waiting.pop()]:
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        reach[start] = seen
    groups = {
        tuple(sorted({name, *(other for other in reach[name] if name in reach[other])}))
        for name in edges
        if name in reach[name]
    }
    return [f"import cycle: {', '.join(group)}" for group in sorted(groups)]


def functions(module: Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method with its name, `Class.method` or `outer.inner`."""

    def walk(node: ast.AST, around: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            name = around
            if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
                name = f"{around}.{child.name}".strip(".")
            if isinstance(child, FUNCTIONS):
                yield name, child
            yield from walk(child, name)

    yield from walk(module.tree, "")


def sizes_of(modules: Mapping[str, Module]) -> dict[str, tuple[int, int, str]]:
    """Size, usual bound and unit of every module, function and class; a property is no method."""
    sizes: dict[str, tuple[int, int, str]] = {}
    for module in modules.values():
        if is_under(module.name, rules.SIZE_EXEMPT):
            continue
        sizes[module.name] = (len(module.source.splitlines()), rules.MODULE_LINES_MAX, "lines")
        for name, function in functions(module):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            sizes[f"{module.name}:{name}"] = (length, rules.FUNCTION_LINES_MAX, "lines")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                methods = [n for n in node.body if isinstance(n, FUNCTIONS) and _is_public_method(n)]
                sizes[f"{module.name}:{node.name}"] = (
                    len(methods),
                    rules.PUBLIC_METHODS_MAX,
                    "public methods",
                )
    return sizes


def _is_public_method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    marks = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return not node.name.startswith("_") and not marks & {
        "property",
        "cached_property",
        "setter",
        "deleter",
        "overload",
    }


def too_large(modules: Mapping[str, Module]) -> list[str]:
    """Modules, functions and classes past their bound."""
    return [
        f"{name} has {size} {unit}, more than {bound}"
        for name, (size, usual, unit) in sizes_of(modules).items()
        if size > (bound := rules.SIZE_EXCEPTIONS.get(name, usual))
    ]


def needless_exceptions(modules: Mapping[str, Module]) -> list[str]:
    """Lines of the exception lists that nothing needs any more."""
    sizes = sizes_of(modules)
    small = [name for name in rules.SIZE_EXCEPTIONS if name not in sizes or sizes[name][0] <= sizes[name][1]]
    positional = {f"{module.name}:{name}" for module in modules.values() for name, _ in _past_three(module)}
    gone = (rules.BROAD_EXCEPT_MODULES | rules.PRINT_MODULES | set(rules.ENVIRON_MODULES)) - set(modules)
    return [
        f"rules.py makes an exception of {name}, which needs none"
        for name in (*small, *sorted(rules.POSITIONAL_EXCEPTIONS - positional), *sorted(gone))
    ]


def _past_three(module: Module) -> Iterator[tuple[str, list[str]]]:
    for name, node in functions(module):
        if node.name.startswith("_") and node.name != "__init__":
            continue  # what only its own module calls may be called as suits it
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
        if len(names) > rules.POSITIONAL_PARAMETERS_MAX:
            yield name, names


def too_many_positional(modules: Mapping[str, Module]) -> list[str]:
    """Public functions and constructors with more than three positional parameters, `self` not counted."""
    return [
        f"{module.name}:{name} takes {len(names)} positional parameters: {', '.join(names)}"
        for module in modules.values()
        for name, names in _past_three(module)
        if f"{module.name}:{name}" not in rules.POSITIONAL_EXCEPTIONS
    ]


def undocumented(modules: Mapping[str, Module]) -> list[str]:
    """Modules without a docstring; an empty package file needs none."""
    return [
        f"{module.name} has no docstring"
        for module in modules.values()
        if module.source.strip() and not ast.get_docstring(module.tree)
    ]


def _found(
    modules: Mapping[str, Module], is_wrong: Callable[[ast.AST], bool], *, but: frozenset[str], what: str
) -> list[str]:
    return [
        f"{module.name}:{getattr(node, 'lineno', 0)} {what}"
        for module in modules.values()
        if module.name not in but
        for node in ast.walk(module.tree)
        if is_wrong(node)
    ]


def prints(modules: Mapping[str, Module]) -> list[str]:
    """Calls of print() outside the one module that writes to the terminal."""

    def is_print(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"

    return _found(modules, is_print, but=rules.PRINT_MODULES, what="calls print()")


def environ_readers(modules: Mapping[str, Module]) -> list[str]:
    """Modules that read the environment and are not settings.py or a stated exception."""
    names = {"environ", "getenv", "environb"}

    def is_read(node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            return node.attr in names
        return (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and any(a.name in names for a in node.names)
        )

    allowed = frozenset({"settings", *rules.ENVIRON_MODULES})
    return _found(modules, is_read, but=allowed, what="reads the environment")


def broad_excepts(modules: Mapping[str, Module]) -> list[str]:
    """Handlers of everything that do not raise again, outside the three places that may have one."""

    def is_broad(node: ast.AST) -> bool:
        if not isinstance(node, ast.ExceptHandler):
            return False
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {"" if kind is None else ast.unparse(kind) for kind in caught}
        if not names & {"", "Exception", "BaseException"}:
            return False
        return not isinstance(node.body[-1], ast.Raise)

    return _found(modules, is_broad, but=rules.BROAD_EXCEPT_MODULES, what="catches every error and goes on")

"""Mutants of a Python module: one small change of its code each, such as `<` to `<=`, or a removed table entry."""

import ast
import copy
import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
}
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
METHODS = {"startswith": "endswith", "endswith": "startswith", "partition": "rpartition", "rpartition": "partition"}
WITHOUT_CALL = {"lower", "strip", "casefold"}
"""Methods of text whose call is replaced by the text itself."""

UNCHANGED_FIELDS = {"annotation", "returns", "type_params", "decorator_list", "bases", "format_spec", "cause"}
"""Parts of statements that are not mutated: types, decorators and the cause of an exception."""

SHOWN = 120
"""Maximum number of characters of an expression in the name of a mutant."""

type Change = tuple[str, ast.AST]
"""What changes, in words, and the node that replaces the original."""


@dataclass(frozen=True)
class Mutant:
    """One change of a module.

    Attributes:
        name: the function and the change. It has no line number, so that it stays the same if other code changes.
        line: the line of the change.
    """

    name: str
    line: int
    _module: "_Module" = field(repr=False)
    _place: "_Place" = field(repr=False)
    _replacement: ast.AST = field(repr=False)

    def diff(self) -> str:
        """Return the lines of the statement that change; of a long statement, only the part that changes."""
        return _diff(self._place, self._replacement)

    def compile(self) -> CodeType:
        """Return the code of the changed module, with the line numbers of the original."""
        with_change = _Changed(self._place, self._replacement)
        try:
            with_change.apply()
            return compile(self._module.tree, self._module.path, "exec", dont_inherit=True)
        finally:
            with_change.undo()


def all_mutants(source: str, path: str) -> list[Mutant]:
    """Return the mutants of the module with this source, in the order of the places."""
    module = _Module(source, path)
    mutants = []
    numbers = Counter[str]()
    for place in _places(module.tree):
        for text, changed in _changes(place, module):
            # It may contain nodes of the tree, whose locations must stay.
            replacement = ast.fix_missing_locations(ast.copy_location(copy.deepcopy(changed), place.node))
            name = f"{place.scope}: {text}"
            numbers[name] += 1
            if numbers[name] > 1:
                name = f"{name} ({numbers[name]})"
            mutants.append(Mutant(name, place.node.lineno, module, place, replacement))
    return mutants


class _Module:
    def __init__(self, source: str, path: str) -> None:
        self.path = path
        self.tree = ast.parse(source, path)
        self.enums: dict[str, list[str]] = {}
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and _is_enum(node):
                assigned = [each.targets[0] for each in node.body if isinstance(each, ast.Assign)]
                self.enums[node.name] = [target.id for target in assigned if isinstance(target, ast.Name)]


@dataclass(frozen=True)
class _Place:
    """A node, and where it is: in the field of its parent, or at an index of this field."""

    node: ast.expr | ast.stmt
    parent: ast.AST
    name: str
    index: int | None
    scope: str
    statement: ast.stmt


class _Changed:
    def __init__(self, place: _Place, replacement: ast.AST) -> None:
        self._place = place
        self._replacement = replacement

    def apply(self) -> None:
        self._set(self._replacement)

    def undo(self) -> None:
        self._set(self._place.node)

    def _set(self, node: ast.AST) -> None:
        if self._place.index is None:
            setattr(self._place.parent, self._place.name, node)
        else:
            getattr(self._place.parent, self._place.name)[self._place.index] = node


def _places(tree: ast.Module) -> Iterator[_Place]:
    for index, statement in enumerate(tree.body):
        yield from _inside(statement, tree, "body", index, _scope_of(statement), statement)


def _scope_of(statement: ast.stmt) -> str:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return "module"


def _inside(
    node: ast.AST, parent: ast.AST, name: str, index: int | None, scope: str, statement: ast.stmt
) -> Iterator[_Place]:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.TypeAlias() | ast.Assert() | ast.Global() | ast.Nonlocal():
            return
        case ast.Expr(value=ast.Constant()):  # a docstring
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):  # imports
            return
        case ast.ClassDef() if _is_enum(node):  # the values of its members are only names
            return
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            scope = node.name if isinstance(parent, ast.Module) else f"{scope}.{node.name}"
    if isinstance(node, ast.stmt):
        statement = node
    if isinstance(node, ast.expr | ast.stmt):
        yield _Place(node, parent, name, index, scope, statement)
    for inner_name, value in ast.iter_fields(node):
        if inner_name in UNCHANGED_FIELDS:
            continue
        if isinstance(value, ast.AST):
            yield from _inside(value, node, inner_name, None, scope, statement)
        elif isinstance(value, list):
            for inner_index, each in enumerate(value):
                if isinstance(each, ast.AST) and not _is_text_of_f_string(each, node):
                    yield from _inside(each, node, inner_name, inner_index, scope, statement)


def _is_enum(node: ast.ClassDef) -> bool:
    return any("Enum" in ast.unparse(base) for base in node.bases)


def _is_text_of_f_string(node: ast.AST, parent: ast.AST) -> bool:
    return isinstance(parent, ast.JoinedStr) and isinstance(node, ast.Constant)


def _changes(place: _Place, module: _Module) -> Iterator[Change]:
    node = place.node
    if isinstance(node, ast.stmt):
        yield from _of_statement(node)
        return
    if isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        yield from _of_expression(node, place, module)
    is_condition = place.name in {"test", "ifs", "guard"}
    if is_condition and not isinstance(node, ast.Compare | ast.BoolOp | ast.Constant | ast.UnaryOp):
        yield _becomes(node, ast.UnaryOp(ast.Not(), node))


def _of_statement(node: ast.stmt) -> Iterator[Change]:
    match node:
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()):
            yield _removed(node), ast.If(ast.Constant(False), [node], [])
        case ast.Expr() | ast.Raise() | ast.AugAssign() | ast.Delete():
            yield _removed(node), ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield _removed(node), ast.Pass()
        case ast.Break():
            yield _becomes(node, ast.Continue())
        case ast.Continue():
            yield _becomes(node, ast.Break())
        case ast.Return(value=ast.Constant(value=None | False)):  # `return True` is another mutant of `return False`
            return
        case ast.Return(value=value) if value is not None:
            yield _becomes(node, ast.Return(ast.Constant(None)))
        case ast.For(iter=iterable) | ast.AsyncFor(iter=iterable) if isinstance(node, ast.For):
            yield f"no iteration of `for` over `{_short(iterable)}`", _with(node, iter=ast.Tuple([], ast.Load()))
        case ast.Match(subject=subject, cases=cases) if len(cases) > 1:
            for case, others in _without_each(cases):
                text = f"`case {_short(case.pattern)}` removed from `match {_short(subject)}`"
                yield text, _with(node, cases=others)
    if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield _becomes(node, _with(node, op=ARITHMETIC[type(node.op)]()))


def _of_expression(node: ast.expr, place: _Place, module: _Module) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    yield _becomes(node, _with(node, ops=[*ops[:index], other(), *ops[index + 1 :]]))
        case ast.BoolOp(op=op):
            yield _becomes(node, _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And()))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield _becomes(node, left)
            yield _becomes(node, right)
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            yield _becomes(node, _with(node, op=ARITHMETIC[type(op)]()))
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield _becomes(node, operand)
        case ast.Constant(value=value):
            changed = _other_constant(value)
            if changed is not None:
                yield _becomes(node, ast.Constant(changed))
        case ast.JoinedStr():
            yield _becomes(node, ast.Constant(""))
        case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
            yield _becomes(node, _with(node, func=ast.Name(FUNCTIONS[name], ast.Load())))
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in METHODS:
            yield _becomes(node, _with(node, func=ast.Attribute(value, METHODS[name], ast.Load())))
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=[]) if name in WITHOUT_CALL:
            yield _becomes(node, value)
        case ast.Subscript(value=value, slice=ast.Slice()):
            yield _becomes(node, value)
        case ast.Attribute(value=ast.Name(id=name), attr=attr) if (
            not isinstance(place.parent, ast.Dict | ast.Set) or place.name == "values"
        ) and attr in (members := module.enums.get(name, ())):
            if isinstance(place.parent, ast.Tuple) and len({type(each) for each in place.parent.elts}) == 1:
                return  # a collection, of which each item is removed
            other_member = members[(members.index(attr) + 1) % len(members)]
            if other_member != attr:
                yield _becomes(node, _with(node, attr=other_member))
        case ast.Dict(keys=keys, values=values):
            yield from _of_dict(node, keys, values)
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items) if len(items) > 1:
            yield from _of_collection(node, items, place)


def _of_dict(node: ast.Dict, keys: Sequence[ast.expr | None], values: Sequence[ast.expr]) -> Iterator[Change]:
    for index, key in enumerate(keys):
        entry = f"{_short(key)}: ..." if key else f"**{_short(values[index])}"
        others = [each for each in range(len(keys)) if each != index]
        without = ast.Dict([keys[each] for each in others], [values[each] for each in others])
        yield f"entry `{entry}` removed from `{_short(node, 40)}`", without
    for index in range(len(keys) - 1):
        first, second = keys[index : index + 2]
        if first is None or second is None or ast.dump(values[index]) == ast.dump(values[index + 1]):
            continue
        swapped = [*values[:index], values[index + 1], values[index], *values[index + 2 :]]
        text = f"values of `{_short(first)}` and `{_short(second)}` swapped in `{_short(node, 40)}`"
        yield text, ast.Dict(list(keys), swapped)


def _of_collection(node: ast.Tuple | ast.List | ast.Set, items: list[ast.expr], place: _Place) -> Iterator[Change]:
    if len({type(each) for each in items}) > 1:
        return  # a record, not a collection
    if not _has_fixed_length(place.parent):
        for item, others in _without_each(items):
            yield f"`{_short(item)}` removed from `{_short(node)}`", _with(node, elts=others)
    if isinstance(node, ast.Set) or _is_unordered(place.parent):
        return
    for index in range(len(items) - 1):
        if ast.dump(items[index]) != ast.dump(items[index + 1]):
            swapped = [*items[:index], items[index + 1], items[index], *items[index + 2 :]]
            text = f"`{_short(items[index])}` and `{_short(items[index + 1])}` swapped in `{_short(node)}`"
            yield text, _with(node, elts=swapped)


def _has_fixed_length(parent: ast.AST) -> bool:
    """Return whether code unpacks a tuple in this place, or Python would refuse it with another length."""
    match parent:
        case ast.Assign(targets=[ast.Tuple()]) | ast.Return() | ast.Subscript():
            return True
    return False


def _is_unordered(parent: ast.AST) -> bool:
    """Return whether the order of the items of a collection in this place makes no difference."""
    match parent:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in {"isinstance", "frozenset", "set", "fromkeys"}
    return isinstance(parent, ast.Compare | ast.ExceptHandler)


def _without_each[T](items: Sequence[T]) -> Iterator[tuple[T, list[T]]]:
    for index, item in enumerate(items):
        yield item, [*items[:index], *items[index + 1 :]]


def _other_constant(value: object) -> bool | float | str | bytes | None:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return "" if value else "x"
        case bytes():
            return b"" if value else b"x"
    return None


def _with[N: ast.AST](node: N, **fields: object) -> N:
    """Return a shallow copy of the node with other values of some fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _becomes(node: ast.AST, replacement: ast.AST) -> Change:
    return f"`{_short(node)}` becomes `{_short(replacement)}`", replacement


def _removed(node: ast.AST) -> str:
    return f"`{_short(node)}` removed"


def _short(node: ast.AST, limit: int = SHOWN) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= limit else f"{text[: limit - 20]}...{text[-17:]}"


def _diff(place: _Place, replacement: ast.AST) -> str:
    change = _Changed(place, replacement)
    for shown in (place.statement, place.node):
        before = ast.unparse(shown)
        if shown is place.node:
            after = ast.unparse(replacement)
        else:
            change.apply()
            after = ast.unparse(shown)
            change.undo()
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
        changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
        if all(len(line) <= 2 * SHOWN for line in changed):
            break
    return "\n".join(changed)

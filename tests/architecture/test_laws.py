"""Laws of the house that a linter does not know: modes, clocks, environment, shapes, words."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.test_imports import MODULES, name_of

CORE = [path for path in MODULES if name_of(path).startswith("thunes_core/")]
MODE = re.compile(r"(^|_)(live|paper|sandbox|dry_?run|simulated|is_real|is_test)(_|$)")
MODE_WORDS = {"live", "paper", "sandbox", "binance", "binance-testnet", "backtest"}
WORDS = re.compile(r"(^|_)(bot|manager|helper|helpers|util|utils|handler)(_|$)|^do_")
MAX_MODULE_LINES, MAX_FUNCTION_LINES = 350, 60


def parsed(path):
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text())


def conditions(tree):
    """Yield every expression that something is decided on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            yield node.test
        elif isinstance(node, ast.Match):
            yield node.subject


def calls(tree):
    """Yield what is called, as text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def functions(tree):
    """Yield every function."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    yield from (node for node in ast.walk(tree) if isinstance(node, kinds))


def test_nothing_in_the_core_asks_which_mode_it_runs_in():
    """Paper, local testnet and real are different objects behind one port, never a condition."""
    asked = []
    for path in CORE:
        if name_of(path) == "thunes_core/settings.py":  # offers the choice, decides nothing
            continue
        for test in conditions(parsed(path)):
            names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
            names |= {n.attr for n in ast.walk(test) if isinstance(n, ast.Attribute)}
            words = {n.value for n in ast.walk(test) if isinstance(n, ast.Constant)} & MODE_WORDS
            if words or any(MODE.search(name) for name in names):
                asked.append(f"{name_of(path)}:{test.lineno} {ast.unparse(test)}")
    assert asked == []


def test_only_the_clock_asks_the_machine_for_the_time():
    """Everything else is handed a clock or a moment."""
    asks = re.compile(
        r"^(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns|monotonic))$"
    )
    found = [
        f"{name_of(path)} {call}"
        for path in MODULES
        if name_of(path) != "thunes_core/clock.py"
        for call in calls(parsed(path))
        if asks.match(call)
    ]
    assert found == []


def test_only_the_settings_read_the_environment():
    """A setting has one reader; processes that are started get their environment handed."""
    allowed = {
        "thunes_core/settings.py",
        "thunes_pipelines/services/processes.py",  # hands it on to what it starts
        "thunes_pipelines/services/demo.py",  # gives the demo settings of its own, then restores
        "thunes_pipelines/resources/registry/connection.py",  # silences MLflow, which reads it
    }
    found = [
        name_of(path)
        for path in MODULES
        if name_of(path) not in allowed and re.search(r"\bos\.(environ|getenv)\b", path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_opens_with_what_it_holds(path):
    """What it holds, what to add here, what to keep out."""
    told = ast.get_docstring(parsed(path)) or ""
    assert told.split("\n")[0].strip()
    assert "Add here:" in told
    assert "Keep out:" in told


def test_no_module_and_no_function_grows_too_large():
    """Past these lengths a module is split and a function gets leaves."""
    large = [name_of(p) for p in MODULES if len(p.read_text().splitlines()) > MAX_MODULE_LINES]
    large += [
        f"{name_of(path)}:{made.lineno} {made.name}"
        for path in MODULES
        for made in functions(parsed(path))
        if (made.end_lineno or 0) - made.lineno >= MAX_FUNCTION_LINES
    ]
    assert large == []


def test_names_avoid_the_words_that_say_nothing():
    """No bot, manager, helper, utils or handler; no `do_` something."""
    named = [name_of(path) for path in MODULES if WORDS.search(path.stem)]
    for path in MODULES:
        made = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.ClassDef)]
        names = [c.name for c in made] + [f.name for f in functions(parsed(path))]
        snake = {name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in names}
        named += [f"{name_of(path)} {n}" for n, lower in snake.items() if WORDS.search(lower)]
    assert named == []


def test_no_error_is_swallowed_blindly():
    """An `except` names what it is for, or raises again; interrupts and defects pass through."""
    blind = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and not isinstance(node.body[-1], ast.Raise)
    ]
    assert blind == []

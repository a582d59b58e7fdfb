"""The scorer contract: a user's function that scores a model, how it is found, and how its answer is read.

`score(model, datasets, config)` gets the folder of the model version, the folder of each dataset version by
collection name, and the config to build the model again with. It returns metrics, or a ScorerResult with
per-example rows too. If it has a parameter named `run` it gets the evaluation run, to log plots with.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from weighbridge.domain.evaluation import ScorerIdentity
from weighbridge.errors import InvalidScorer, WeighbridgeError
from weighbridge.sdk.values import plain

if TYPE_CHECKING:
    from weighbridge.sdk.run import Run

Rows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]
"""One dict an example, or one sequence a column. `example_id` pairs the rows of two models; default: the
position.
"""

ROWS_MAX = 10_000_000


class ScorerResult(msgspec.Struct, frozen=True):
    """What a scorer found: metrics by name, and, if it likes, rows with one entry for each example."""

    metrics: Mapping[str, Any]
    rows: Rows | None = None


class Measured(msgspec.Struct, frozen=True):
    """A scorer's answer, checked: plain metrics, and rows as columns of one length with `example_id`."""

    metrics: dict[str, Any]
    rows: dict[str, list[Any]] | None


class Scorer(Protocol):
    """Scores a model on datasets. Called once for each model; must not change the folders it is given."""

    def __call__(
        self, model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any]
    ) -> ScorerResult | Mapping[str, Any]: ...


class LoadedScorer:
    """A scorer ready to be called, with the identity that is written into the report."""

    def __init__(self, function: Callable[..., object], identity: ScorerIdentity) -> None:
        self.identity = identity
        self._function = function
        self._wants_run = _wants_run(function)

    def score(
        self, model: Path, datasets: Mapping[str, Path], config: Mapping[str, Any], *, run: Run
    ) -> Measured:
        """Call the scorer; metrics come back as plain values. InvalidScorer names function and problem."""
        name = f"{self.identity.file}:{self.identity.function}"
        try:
            extra = {"run": run} if self._wants_run else {}
            answer = self._function(model, datasets, config, **extra)
        except WeighbridgeError:
            raise
        except (Exception, SystemExit) as error:  # sys.exit(0) in a scorer must not end as "passed"
            raise InvalidScorer(
                f"Scorer {name} raised {type(error).__name__}: {error}{_place_of(error, self.identity.file)}",
                hint="Run it by hand on the downloaded model and datasets.",
                details={"scorer": name, "error": type(error).__name__},
            ) from error
        return checked_answer(answer, name)


def load_scorer(scorer: str | Callable[..., object]) -> LoadedScorer:
    """A callable, or `path/to/file.py:function`, as a LoadedScorer. Raises InvalidScorer."""
    if callable(scorer):
        return LoadedScorer(scorer, _identity_of(scorer))
    if not isinstance(scorer, str):
        raise InvalidScorer(
            f"A scorer is a function or text, not {type(scorer).__name__}.", hint="Write score.py:score."
        )
    file, colon, function = scorer.rpartition(":")
    if not colon or not function.isidentifier():
        raise InvalidScorer(
            f"Scorer {scorer!r} does not name a file and a function.", hint="Write score.py:score."
        )
    path = Path(file)
    if not path.is_file():
        raise InvalidScorer(f"Scorer file {path} does not exist.", hint="Check the path before the colon.")
    module = _load_module(path)
    found = getattr(module, function, None)
    if not callable(found):
        names = [
            n for n, value in vars(module).items() if inspect.isfunction(value) and not n.startswith("_")
        ]
        raise InvalidScorer(
            f"Scorer file {path} has no function {function!r}.",
            hint=f"It defines: {', '.join(names[:20]) or 'none'}.",
        )
    return LoadedScorer(found, ScorerIdentity(file=file, function=function, digest=_digest(path)))


def checked_answer(answer: object, name: str) -> Measured:
    """What a scorer returned, as plain values. Raises InvalidScorer."""
    result = answer if isinstance(answer, ScorerResult) else None
    if isinstance(answer, tuple) and len(answer) == 2:
        result = ScorerResult(answer[0], answer[1])
    if result is None:
        if not isinstance(answer, Mapping):
            raise InvalidScorer(
                f"Scorer {name} returned {type(answer).__name__}, not metrics.",
                hint='Return a dict such as {"val_accuracy": 0.97}, or a ScorerResult.',
            )
        result = ScorerResult(answer)
    found: object = result.metrics
    if not isinstance(found, Mapping) or not found:
        raise InvalidScorer(f"Scorer {name} returned no metrics.", hint="Return at least one metric by name.")
    metrics = {str(key): plain(value, f"metric {key}") for key, value in found.items()}
    return Measured(metrics, _columns(result.rows, name))


def _columns(rows: Rows | None, name: str) -> dict[str, list[Any]] | None:
    """Rows as plain columns of one length, `example_id` among them."""
    if rows is None:
        return None
    if isinstance(rows, Mapping):
        columns = {str(key): list(values) for key, values in rows.items()}
    else:
        keys = list(dict.fromkeys(str(key) for row in rows for key in row))
        columns = {key: [row.get(key) for row in rows] for key in keys}
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidScorer(
            f"Scorer {name} returned columns of unequal lengths: {lengths}.", hint="Make them equal."
        )
    count = next(iter(lengths.values()), 0)
    if count > ROWS_MAX:
        raise InvalidScorer(
            f"Scorer {name} returned {count:,} rows; at most {ROWS_MAX:,} are kept.", hint="Sample them."
        )
    columns.setdefault("example_id", list(range(count)))
    return {key: [plain(value, f"row {key}") for value in values] for key, values in columns.items()}


def _wants_run(function: Callable[..., object]) -> bool:
    try:
        return "run" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _load_module(path: Path) -> ModuleType:
    """Import a file under a name of its own; its folder is importable while it loads, as for a script."""
    folder = str(path.resolve().parent)
    spec = importlib.util.spec_from_file_location(f"_weighbridge_scorer_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InvalidScorer(f"Scorer file {path} is no Python file.", hint="Name a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling look a module up by its name
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a script that ends in sys.exit() must not end as "passed"
        raise InvalidScorer(
            f"Scorer file {path} cannot be imported: {type(error).__name__}: {error}{_place_of(error, path)}",
            hint="Run `python` on it by itself; packages it needs must be installed here.",
        ) from error
    finally:
        sys.path.remove(folder)
    return module


def _place_of(error: BaseException, file: str | Path) -> str:
    """Where in the scorer's file it went wrong, or where it did if the file does not appear; begins with a space."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is ours
    own = [frame for frame in frames if Path(frame.filename).name == Path(file).name]
    if not (own or frames):
        return ""
    last = (own or frames)[-1]
    return f" (line {last.lineno} of {Path(last.filename).name}, in {last.name})"


def _identity_of(function: Callable[..., object]) -> ScorerIdentity:
    name = str(getattr(function, "__qualname__", type(function).__qualname__))
    try:
        file = inspect.getsourcefile(inspect.unwrap(function)) or ""
    except TypeError:
        file = ""
    if file and Path(file).is_file():
        return ScorerIdentity(file=file, function=name, digest=_digest(Path(file)))
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = ""  # defined at a prompt or compiled: no source to hold on to
    return ScorerIdentity(file=file, function=name, digest=_digest_text(text.encode()) if text else "")


def _digest(path: Path) -> str:
    return _digest_text(path.read_bytes())


def _digest_text(text: bytes) -> str:
    import blake3

    return str(blake3.blake3(text).hexdigest())

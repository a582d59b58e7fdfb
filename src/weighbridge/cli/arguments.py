"""The words the program understands: every command with its arguments. It imports no command and runs none."""

from __future__ import annotations

import argparse
from typing import Final, NoReturn

from weighbridge import __version__

_TOP: Final = """Record training runs, keep models in a registry, and weigh every model before it ships.

Paths: a run is [entity/][project/]run_id, an artifact [entity/][project/]name[:alias], a registered model
model-registry/Name:alias. Exit codes: 0 done or passed, 1 judged and failed, 2 could not be done."""


class _Parser(argparse.ArgumentParser):
    """argparse with our form of an error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\nhint: See {self.prog} --help.\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole program. A command is named by `command_path`, `module:function` below cli."""
    parser = _Parser(
        prog="weighbridge",
        description=_TOP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_everywhere()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"weighbridge {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    _add_runs(commands)
    _add_artifacts(commands)
    _add_registry(commands)
    _add_evaluation(commands)
    _add_home(commands)
    return parser


def _everywhere(*, json_takes_a_file: bool = False) -> _Parser:
    """What every command takes, before or after its name."""
    shared = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = shared.add_argument_group("everywhere")
    group.add_argument("--home", metavar="DIR", help="the home folder (default: WEIGHBRIDGE_HOME)")
    group.add_argument("--entity", metavar="NAME", help="owner that paths without one mean")
    group.add_argument("--color", choices=("auto", "always", "never"), help="colours in the terminal")
    formats = group.add_mutually_exclusive_group()
    if json_takes_a_file:
        formats.add_argument(
            "--json", nargs="?", const="-", metavar="FILE", help="write JSON to a file, or to stdout"
        )
    else:
        formats.add_argument("--json", dest="is_json", action="store_true", help="write JSON")
    formats.add_argument(
        "--quiet", "-q", dest="is_quiet", action="store_true", help="write paths only, one a line"
    )
    return shared


def _command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    path: str,
    *,
    help: str,
    epilog: str = "",
    is_judging: bool = False,
) -> argparse.ArgumentParser:
    """Add a command.

    is_judging: exit code 1 is kept for its verdict, so that no error gives it, and --json may name a file, as
    pipelines want both the report and the words.
    """
    parser = commands.add_parser(
        name,
        help=help,
        description=help[:1].upper() + help[1:] + ".",
        epilog=epilog or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_everywhere(json_takes_a_file=is_judging)],
        allow_abbrev=False,
    )
    parser.set_defaults(command_path=path, is_judging=is_judging)
    return parser


def _group(
    commands: argparse._SubParsersAction[_Parser], name: str, *, help: str
) -> argparse._SubParsersAction[_Parser]:
    """Add a noun that has commands of its own."""
    parser = commands.add_parser(name, help=help, description=help[:1].upper() + help[1:] + ".")
    return parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)


def _add_runs(commands: argparse._SubParsersAction[_Parser]) -> None:
    listing = _command(
        commands,
        "runs",
        "runs:list_runs",
        help="list the runs of a project, newest first",
        epilog="examples:\n"
        "  weighbridge runs digits --filter 'job_type = evaluation and summary.val_accuracy > 0.9'\n"
        "  weighbridge runs digits --order -summary.val_accuracy --columns name,config.lr,summary.val_accuracy",
    )
    listing.add_argument("project", nargs="?", metavar="PROJECT", help="[entity/]project")
    listing.add_argument("--filter", metavar="TEXT", default="", help="text, or JSON in W&B's language")
    listing.add_argument("--order", metavar="[+-]FIELD", default="-created_at", help="what to sort by")
    listing.add_argument("--limit", type=_count, default=50, metavar="N", help="most runs to list (50)")
    listing.add_argument(
        "--columns", metavar="A,B", help="id, name, state, ..., config.KEY and summary.KEY, with commas"
    )

    run = _group(commands, "run", help="show one run, its history, or delete it")
    show = _command(run, "show", "run:show_run", help="show all that is stored of a run")
    show.add_argument("path", metavar="RUN")
    history = _command(run, "history", "run:show_history", help="show the metrics of a run by step")
    history.add_argument("path", metavar="RUN")
    history.add_argument(
        "--keys", metavar="A,B", help="only these metrics, and only rows that hold all of them"
    )
    history.add_argument("--csv", dest="is_csv", action="store_true", help="write every row as CSV")
    history.add_argument(
        "--samples", type=_count, default=20, metavar="N", help="rows of a table, spread evenly (20)"
    )
    delete = _command(run, "delete", "run:delete_run", help="delete a run; lineage keeps its name")
    delete.add_argument("path", metavar="RUN")
    delete.add_argument("--yes", dest="is_confirmed", action="store_true", help="do it")

    projects = _command(commands, "projects", "projects:list_projects", help="list the projects of an entity")
    projects.add_argument("owner", nargs="?", metavar="ENTITY")


def _add_artifacts(commands: argparse._SubParsersAction[_Parser]) -> None:
    listing = _command(commands, "artifacts", "artifacts:list_artifacts", help="list artifacts of a project")
    listing.add_argument("project", nargs="?", metavar="PROJECT", help="[entity/]project")
    listing.add_argument("--type", metavar="TYPE", help="only of this type, such as model")

    artifact = _group(commands, "artifact", help="show, fetch, store, check or label one artifact version")
    show = _command(artifact, "show", "artifacts:show_artifact", help="show one version")
    show.add_argument("path", metavar="ARTIFACT")
    get = _command(artifact, "get", "artifacts:get_artifact", help="download a version, every byte checked")
    get.add_argument("path", metavar="ARTIFACT")
    get.add_argument("--root", metavar="DIR", help="where to (default: ./artifacts/NAME:vN)")
    put = _command(artifact, "put", "artifacts:put_artifact", help="store a file or folder as a version")
    put.add_argument("source", metavar="FILE_OR_FOLDER")
    put.add_argument("--name", required=True, metavar="NAME")
    put.add_argument("--type", required=True, metavar="TYPE", help="such as dataset or model")
    put.add_argument("--project", metavar="PROJECT")
    put.add_argument("--alias", action="append", default=[], metavar="ALIAS", help="may be given again")
    put.add_argument("--description", default="", metavar="TEXT")
    verify = _command(
        artifact, "verify", "artifacts:verify_artifact", help="hash the stored bytes of a version again"
    )
    verify.add_argument("path", metavar="ARTIFACT")
    verify.add_argument("--root", metavar="DIR", help="check this downloaded folder instead")
    alias = _command(artifact, "alias", "artifacts:move_alias", help="move an alias to a version")
    alias.add_argument("path", metavar="ARTIFACT")
    alias.add_argument("alias", metavar="ALIAS")
    alias.add_argument("--remove", dest="is_removal", action="store_true", help="take it away instead")
    alias.add_argument("--reason", default="", metavar="TEXT", help="kept in the alias history")
    alias.add_argument(
        "--expected", metavar="vN", help="refuse unless it points here now; `none`: unless it is unused"
    )


def _add_registry(commands: argparse._SubParsersAction[_Parser]) -> None:
    registry = commands.add_parser(
        "registry", help="list the registries, or show, link and ask one", parents=[_everywhere()]
    )
    registry.set_defaults(command_path="registry:list_registries", is_judging=False)
    inner = registry.add_subparsers(metavar="COMMAND", parser_class=_Parser)
    show = _command(inner, "show", "registry:show_collection", help="show a registered model's versions")
    show.add_argument("path", metavar="REGISTRY/NAME")
    show.add_argument("--columns", metavar="A,B", help="metrics of the producer's summary to show")
    show.add_argument("--limit", type=_count, default=50, metavar="N", help="most versions to list (50)")
    history = _command(
        inner,
        "history",
        "registry:show_history",
        help="show who moved which alias, when and why",
        epilog="example:\n  weighbridge registry history model-registry/Digits --alias production "
        "--at 2026-05-03",
    )
    history.add_argument("path", metavar="REGISTRY/NAME")
    history.add_argument("--alias", metavar="ALIAS", help="only this one")
    history.add_argument("--at", metavar="WHEN", help="which version held it then; a day means its end, UTC")
    link = _command(inner, "link", "registry:link_version", help="place a version in a registry")
    link.add_argument("source", metavar="ARTIFACT")
    link.add_argument("target", metavar="REGISTRY/NAME")
    link.add_argument("--alias", action="append", default=[], metavar="ALIAS", help="may be given again")

    lineage = _command(
        commands, "lineage", "lineage:show_lineage", help="show what a version or run came from and led to"
    )
    lineage.add_argument("path", metavar="RUN_OR_ARTIFACT")
    lineage.add_argument(
        "--depth", type=_count, default=10, metavar="N", help="edges to follow, 1 to 50 (10)"
    )
    lineage.add_argument("--direction", choices=("upstream", "downstream", "both"), default="both")


_REPEATABLE = (
    ("--names", "CLAIMED=MEASURED", "names", "which claim is which metric, such as 'final_*=val_*'"),
    ("--per-metric", "NAME=RTOL", "per_metric", "relative tolerance of a metric or glob"),
    ("--check", "RULE", "checks", "a threshold that must hold, such as 'val_accuracy >= 0.95'"),
    ("--dataset", "NAME:vN", "datasets", "a dataset version other than the producer's"),
    ("--config", "KEY=VALUE", "config", "a config value other than the producer's"),
    ("--tag", "TAG", "tags", "label of the evaluation run"),
)
"""Options of `evaluate` that may be given several times: flag, metavar, attribute, meaning."""


def _add_evaluation(commands: argparse._SubParsersAction[_Parser]) -> None:
    evaluate = _command(
        commands,
        "evaluate",
        "evaluate:evaluate_model",
        help="score a registered model again and hold it against its claims",
        is_judging=True,
        epilog="exit codes: 0 passed, 1 failed, 2 could not be evaluated (inconclusive too)\n"
        "example:\n  weighbridge evaluate model-registry/Digits:staging --scorer score.py:score "
        '--against production --check "val_accuracy >= 0.95"',
    )
    evaluate.add_argument(
        "model", metavar="MODEL", help="artifact path, such as model-registry/Digits:staging"
    )
    evaluate.add_argument(
        "--scorer",
        required=True,
        metavar="FILE:FUNCTION",
        help="what scores it: gets model, datasets, config",
    )
    evaluate.add_argument("--against", metavar="ALIAS_OR_PATH", help="a version it must not be worse than")
    for option, metavar, name, meaning in _REPEATABLE:
        evaluate.add_argument(
            option,
            action="append",
            default=[],
            metavar=metavar,
            dest=name,
            help=f"{meaning}; may be repeated",
        )
    evaluate.add_argument("--rtol", type=float, metavar="X", help="allowed relative difference (1e-6)")
    evaluate.add_argument("--atol", type=float, metavar="X", help="allowed absolute difference (1e-9)")
    evaluate.add_argument(
        "--claims",
        choices=("auto", "summary", "history"),
        default="auto",
        help="where claims are read; auto: at the step of the saved model if it is not the last one",
    )
    evaluate.add_argument(
        "--safe-files", dest="is_safe_files", action="store_true", help="fail if a file of it could run code"
    )
    evaluate.add_argument("--project", metavar="PROJECT", help="of the evaluation run")
    evaluate.add_argument("--name", metavar="TEXT", help="display name of the evaluation run")
    evaluate.add_argument("--junit", metavar="FILE", help="write JUnit XML; `-` is stdout")
    evaluate.add_argument("--markdown", metavar="FILE", help="write Markdown; `-` is stdout")

    stored = _command(
        commands, "evaluations", "evaluations:list_evaluations", help="list evaluations of a version or run"
    )
    stored.add_argument("path", metavar="RUN_OR_ARTIFACT")
    stored.add_argument("--show", metavar="N", type=_count, help="print the N-th report, 1 is the newest")


def _add_home(commands: argparse._SubParsersAction[_Parser]) -> None:
    sync = _command(
        commands, "sync", "sync:sync_spools", help="ship offline runs and those of killed processes"
    )
    sync.add_argument("--dry-run", dest="is_dry_run", action="store_true", help="only say what there is")
    doctor = _command(commands, "doctor", "doctor:examine_home", help="check the installation and the home")
    doctor.add_argument("--deep", dest="is_deep", action="store_true", help="hash every stored file again")
    export = _command(
        commands, "export", "export:export_project", help="write a project as Parquet, JSON lines and files"
    )
    export.add_argument("project", metavar="PROJECT", help="[entity/]project")
    export.add_argument("--to", required=True, metavar="DIR", help="where to; made if missing")
    export.add_argument("--no-files", dest="has_files", action="store_false", help="leave artifact files out")
    _command(commands, "demo", "home:tell_demo", help="tell the whole story on real data")
    _command(commands, "settings", "home:list_settings", help="list every setting, its value and its origin")
    _command(commands, "version", "home:show_version", help="show the version")


def _count(text: str) -> int:
    """A whole number from 1 to 100,000. Raises ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= len(text) <= 6 or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from 1 to 100,000")
    return int(text)

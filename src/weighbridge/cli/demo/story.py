"""The demo's story, step by step: what is done, and whether each step came out as it is told.

It works with the public SDK as a script would and says everything through a Teller; it prints nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from weighbridge.cli.demo import digits
from weighbridge.cli.demo.digits import SPLIT, Recipe
from weighbridge.domain.evaluation import CauseKind, CheckKind, EvaluationReport, Verdict
from weighbridge.evaluation.evaluate import evaluate
from weighbridge.sdk.artifact import Artifact
from weighbridge.sdk.init import init
from weighbridge.sdk.public import Api

if TYPE_CHECKING:
    from weighbridge.cli.demo.teller import Teller
    from weighbridge.settings import Settings

PROJECT: Final = "weighbridge-demo"
REGISTERED: Final = "model-registry/Digits"
STAGING: Final = f"{REGISTERED}:staging"
PRODUCTION: Final = f"{REGISTERED}:production"
EVALUATE: Final = f'evaluate "{STAGING}" --scorer examples/digits/score.py:score'
NAMES: Final = {"final_*": "val_*"}
CHECKS: Final = ("val_accuracy >= 0.9",)
HARD_IMAGES: Final = 40

LINEAR: Final = Recipe(hidden=0, epochs=40)
SMALL: Final = Recipe(hidden=12, epochs=30)
LARGE: Final = Recipe(hidden=64, epochs=40)


class Story:
    """One telling. `facts` holds what happened, for machines; `surprises` what did not come out as told."""

    def __init__(self, settings: Settings, folder: Path, teller: Teller) -> None:
        self._settings = settings
        self._folder = folder
        self._teller = teller
        self._api = Api(overrides={"entity": settings.entity}, home=settings.home)
        self.facts: dict[str, object] = {"home": str(settings.home), "project": PROJECT}
        self.surprises: list[str] = []

    def tell(self) -> None:
        """All steps in order. Raises WeighbridgeError where one cannot be done at all."""
        self._open()
        split = self._log_split()
        self._first_candidate(split)
        self._second_candidate(split)
        self._third_candidate(split)
        self._look_back()
        self._teller.end(self.surprises)

    def _open(self) -> None:
        known = [project.name for project in self._api.projects()]
        runs = len(self._api.runs(PROJECT)) if PROJECT in known else 0
        self.facts["runs_before"] = runs
        self._teller.begin(self._settings.home, runs)

    def _log_split(self) -> Artifact:
        tell = self._teller
        tell.step("The data", "scikit-learn's 1,797 handwritten digits, cut into three parts.")
        folder = self._new_folder("split")
        sizes = digits.write_split(folder)
        split = self._log_dataset(folder, metadata=sizes)
        tell.say(
            f"Logged as dataset {split.name}: " + ", ".join(f"{n:,} {p}" for p, n in sizes.items()) + "."
        )
        self.facts["split"] = split.qualified_name
        return split

    def _first_candidate(self, split: Artifact) -> None:
        tell = self._teller
        tell.step("A training run", "A linear classifier, its metrics logged epoch by epoch.")
        model = self._train(split, LINEAR)
        tell.step(
            "Its evaluation", "Nobody has to believe the claim: build the model again, score it, compare."
        )
        tell.command(EVALUATE, f'--names "final_*=val_*" --check "{CHECKS[0]}" --safe-files')
        report = evaluate(
            STAGING,
            digits.score,
            names=NAMES,
            checks=CHECKS,
            safe_files=True,
            project=PROJECT,
            settings=self._settings,
        )
        self._judged("first", model, report, expected=Verdict.PASSED)
        self._promote(model, report, reason="its claims were reproduced")

    def _second_candidate(self, split: Artifact) -> None:
        tell = self._teller
        tell.step(
            "A claim that does not hold",
            f"Somebody takes the {HARD_IMAGES} hardest images out of the validation set, trains a small network "
            "and finds it splendid.",
        )
        folder = self._new_folder("easy-split")
        weights = Path(self._api.artifact(PRODUCTION).download(self._new_folder("production")))
        source = Path(split.download(self._new_folder("source")))
        digits.write_split_without_hard_images(source, weights, folder, recipe=LINEAR, removed=HARD_IMAGES)
        easy = self._log_dataset(folder, metadata={"removed": HARD_IMAGES})
        tell.say(f"Logged as dataset {easy.name}.")
        model = self._train(easy, SMALL)
        tell.step(
            "Weighed on the same scales",
            f"Every candidate is scored on {split.name}, as `production` was, and compared with it image by image.",
        )
        tell.command(EVALUATE, f'--names "final_*=val_*" --dataset {split.name} --against production')
        report = evaluate(
            STAGING,
            digits.score,
            names=NAMES,
            against="production",
            datasets=[split.name],
            project=PROJECT,
            settings=self._settings,
        )
        self._judged("second", model, report, expected=Verdict.FAILED)
        causes = [str(cause.kind) for cause in report.causes]
        self._expect(
            bool(report.causes) and report.causes[0].kind is CauseKind.DATASET,
            f"the dataset is named as the first cause (causes: {', '.join(causes) or 'none'})",
        )
        self._expect(
            any(c.kind is CheckKind.REPRODUCES and c.outcome is Verdict.FAILED for c in report.checks),
            "the claim is refuted",
        )
        tell.say("Refused. `production` stays where it is.")

    def _third_candidate(self, split: Artifact) -> None:
        tell = self._teller
        tell.step("An honest candidate", f"A larger network, trained and validated on {split.name}.")
        model = self._train(split, LARGE)
        tell.step("Its evaluation", "Claims, thresholds and a comparison with `production`, in one call.")
        tell.command(
            EVALUATE, f'--names "final_*=val_*" --check "{CHECKS[0]}" --against production --safe-files'
        )
        report = evaluate(
            STAGING,
            digits.score,
            names=NAMES,
            against="production",
            checks=CHECKS,
            safe_files=True,
            project=PROJECT,
            settings=self._settings,
        )
        self._judged("third", model, report, expected=Verdict.PASSED)
        intervals = report.comparison.intervals if report.comparison else ()
        accuracy = next((i for i in intervals if i.metric == "val_accuracy"), None)
        self._expect(
            accuracy is not None and accuracy.low > 0,
            "its accuracy is higher than that of `production`, beyond chance",
        )
        if accuracy is not None:
            tell.say(
                f"Better by {accuracy.delta:.4f} in accuracy on the same {accuracy.n} images, "
                f"{accuracy.confidence:.0%} interval {accuracy.low:.4f} to {accuracy.high:.4f}, "
                f"p = {accuracy.p_value:.2g} (paired bootstrap, {accuracy.resamples:,} resamples)."
            )
        self._promote(model, report, reason="better than its predecessor, beyond chance")

    def _look_back(self) -> None:
        tell = self._teller
        tell.step("What the registry remembers", "Who moved the alias, when and why.")
        production = self._api.artifact(PRODUCTION)
        events = production.collection.alias_history("production")
        tell.alias_history(events)
        tell.step("Where it came from", "The lineage of what is in production now, back to the data.")
        tell.command(f'lineage "{PRODUCTION}"')
        tell.lineage(PRODUCTION)
        lineage = production.lineage()
        roles = {node.role for node in lineage.nodes}
        self._expect(
            {"dataset", "train", "model", "evaluation"} <= roles,
            "the lineage holds dataset, training run, model and evaluations",
        )
        self.facts["production"] = production.qualified_name
        self.facts["lineage_nodes"] = len(lineage)

    # --- the parts of a step ---

    def _log_dataset(self, folder: Path, *, metadata: dict[str, int]) -> Artifact:
        with init(
            project=PROJECT, job_type="prepare-data", reinit="create_new", settings=self._settings
        ) as run:
            split = Artifact(SPLIT, type="dataset", metadata=metadata)
            split.add_dir(folder)
            return run.log_artifact(split)

    def _train(self, split: Artifact, recipe: Recipe) -> Artifact:
        """Train a candidate, claim its metrics, and register it as `staging`; as seen in the registry."""
        tell = self._teller
        config = msgspec.to_builtins(recipe)
        with init(
            project=PROJECT, job_type="train", config=config, reinit="create_new", settings=self._settings
        ) as run:
            data = Path(run.use_artifact(split).download(self._new_folder("data")))
            folder = self._new_folder("weights")
            epochs = []
            for epoch, metrics in enumerate(digits.train(data, folder, recipe)):
                run.log({"epoch": epoch, **metrics})
                epochs.append(metrics)
            run.summary["final_accuracy"] = epochs[-1]["val_accuracy"]
            run.summary["final_loss"] = epochs[-1]["val_loss"]
            model = Artifact("digits-model", type="model", metadata={"hidden": recipe.hidden})
            model.add_dir(folder)
            run.log_artifact(model)
            linked = run.link_artifact(model, REGISTERED, aliases=["staging"])
        tell.epochs(epochs)
        tell.say(
            f"Run {run.name} claims an accuracy of {epochs[-1]['val_accuracy']:.4f}. Its weights are plain arrays, "
            f"a format that cannot run code. They are {REGISTERED}:{linked.version} now, alias `staging`."
        )
        return linked

    def _judged(self, which: str, model: Artifact, report: EvaluationReport, *, expected: Verdict) -> None:
        self._teller.report(report)
        self._expect(report.verdict is expected, f"the {which} candidate is judged {expected}")
        self._expect(report.model_digest == model.digest, f"it is the {which} candidate that was judged")
        measured = {result.measured_name: result.measured for result in report.metrics}
        claimed = {result.claimed_name: result.claimed for result in report.metrics}
        self.facts[which] = {
            "model": report.model,
            "verdict": str(report.verdict),
            "evaluation": report.evaluation,
            "claimed": claimed,
            "measured": measured,
            "causes": [cause.title for cause in report.causes],
            "compared": [
                {"metric": i.metric, "delta": i.delta, "low": i.low, "high": i.high, "p_value": i.p_value}
                for i in (report.comparison.intervals if report.comparison else ())
            ],
        }

    def _promote(self, model: Artifact, report: EvaluationReport, *, reason: str) -> None:
        """Move `production` to a version that passed; a failed verdict stops the story here."""
        report.raise_for_verdict()
        model.aliases.append("production")
        model.save(reason=reason)
        holder = self._api.artifact(PRODUCTION)
        self._expect(holder.digest == model.digest, f"`production` is {model.version}")
        self._teller.say(f"Passed. {PRODUCTION} is {holder.version} now.")

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.surprises.append(what)

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / f"{len(list(self._folder.iterdir()))}-{name}"
        folder.mkdir()
        return folder

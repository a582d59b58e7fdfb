"""Reads every value of one metric of the run that `steps_writer` made. No options."""

from __future__ import annotations

from benchmarks.programs.options import answer
from weighbridge import Api


def main() -> None:
    series = Api().run("bench/steps").series("metric_0")
    answer(points=len(series.values), total=float(series.values.sum()))


if __name__ == "__main__":
    main()

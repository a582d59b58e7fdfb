"""Speed and size, measured. Each module with a `measure()` is one row of docs/benchmarks.md.

`python -m benchmarks [names...]` runs them. Every figure stands beside a floor that the same run measured.
"""

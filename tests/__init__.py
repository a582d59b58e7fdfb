"""The tests of Weighbridge; the folders mirror the source and CONTRIBUTING.md says what goes where."""

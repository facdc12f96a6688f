//! Small programs on Kith's client: see the folder `examples/`; `tests/` runs them.

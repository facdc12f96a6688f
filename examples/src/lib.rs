//! Small programs on Kith's client: see `src/bin/`.

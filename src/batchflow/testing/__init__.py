"""Public contract suites, fakes and clocks: what our own parts are tested with, for plugin authors to use."""

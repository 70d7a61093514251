"""Fixtures that batchflow's own tests and plugin authors' tests share."""

import pytest

# Failed asserts of a contract explain themselves like those of a test file. It must be said before they are imported.
pytest.register_assert_rewrite(
    *(
        f"batchflow.testing.{kit}"
        for kit in (
            "blobs",
            "builder",
            "check",
            "loader",
            "notifier",
            "provider",
            "retry",
            "secrets",
            "sink",
            "source",
            "state",
        )
    )
)

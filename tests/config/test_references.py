"""`${env:NAME}` and `${file:PATH}`."""

import pytest

from batchflow.config.references import refers, resolve
from batchflow.extend.annotations import Referenced

ENV = {"NAME": "value", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${env:NAME}", "value"),
        ("a-${env:NAME}-b", "a-value-b"),
        ("${env:NAME}${env:NAME}", "valuevalue"),
        ("${env:NAME:-x}", "value"),
        ("${env:NONE:-x}", "x"),
        ("${env:EMPTY:-x}", "x"),
        ("${env:EMPTY}", ""),
        ("${env:NONE:-https://api:80/v1}", "https://api:80/v1"),
        ("${env:NONE:-}", ""),
        ("$${env:NAME}", "${env:NAME}"),
        ("${other:NAME} {{ x }} $NAME ${NAME}", "${other:NAME} {{ x }} $NAME ${NAME}"),
        ("${file:key.txt}", "secret"),
        ("Bearer ${file:key.txt}", "Bearer secret"),
    ],
)
def test_a_reference_is_replaced(tmp_path, text, result):
    (tmp_path / "key.txt").write_text("secret\n")
    resolved = resolve(text, ENV, tmp_path)
    assert (resolved.text, resolved.unresolved) == (result, ())


def test_a_text_with_a_reference_is_marked_and_one_without_is_not(tmp_path):
    assert isinstance(resolve("${env:NAME}", ENV, tmp_path).text, Referenced)
    assert not isinstance(resolve("$${env:NAME}", ENV, tmp_path).text, Referenced)
    assert not refers("$${env:NAME}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${env:NONE}", "environment variable NONE is not set"),
        ("${env:}", "`` is no name of an environment variable"),
        ("${env:A B}", "`A B` is no name of an environment variable"),
        ("${file:none.txt}", "{base}/none.txt cannot be read: No such file or directory"),
        ("${file:.}", "{base} cannot be read: Is a directory"),
        ("${file:raw}", "{base}/raw is not UTF-8 text"),
        ("${file:large}", "{base}/large is larger than 1 MiB, which is no setting"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(tmp_path, text, reason):
    (tmp_path / "raw").write_bytes(b"\xff")
    (tmp_path / "large").write_bytes(b"x" * (1 << 20) + b"x")
    [unresolved] = resolve(text, ENV, tmp_path).unresolved
    assert unresolved.reason == reason.format(base=tmp_path)
    assert unresolved.reference == text


def test_every_reference_that_leads_nowhere_is_told(tmp_path):
    unresolved = resolve("${env:A} ${env:NAME} ${env:B}", ENV, tmp_path).unresolved
    assert [one.reference for one in unresolved] == ["${env:A}", "${env:B}"]

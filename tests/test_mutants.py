"""The table of safeguards follows the code, and its check tells noticed from unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutant_table import MUTANTS, Mutant
from tests.mutants import applied, verdict
from tests.programs import ROOT


@pytest.mark.parametrize("name", MUTANTS)
def test_a_safeguard_is_where_the_table_says(name: str) -> None:
    mutant = MUTANTS[name]
    source = (ROOT / mutant.file).read_text("utf-8")
    mutated = applied(mutant, source)
    assert mutated != source
    compile(mutated, mutant.file, "exec")  # or every test would fail, for nothing
    modules = [test.partition("::")[0] for test in mutant.tests if test.endswith(".py")]
    assert all((ROOT / module).exists() for module in modules)


def test_a_text_that_is_not_there_once_is_an_error() -> None:
    mutant = Mutant("a.py", "x = 1", "x = 2", ())
    for source in ("y = 1", "x = 1\nx = 1\n"):
        with pytest.raises(ValueError, match="not once: x = 1"):
            applied(mutant, source)


def test_what_no_test_notices_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer than the tests
    code = tmp_path / "code.py"
    code.write_text("LIMIT = 1\n", "utf-8")
    (tmp_path / "test_it.py").write_text(
        "import code_under_test\n\n\ndef test_blind():\n    pass\n\n\n"
        "def test_sees():\n    assert code_under_test.LIMIT == 1\n",
        "utf-8",
    )
    code = code.rename(tmp_path / "code_under_test.py")

    def judged(test: str, text: str = "LIMIT = 1") -> str:
        return verdict(tmp_path, Mutant(code.name, text, "LIMIT = 2", (f"test_it.py::{test}",)))

    assert judged("test_sees") == ""
    assert judged("test_blind").startswith("nothing noticed")
    assert judged("test_that_is_not_there").startswith("pytest ended with 4")
    assert "0 times" in judged("test_sees", "LIMIT = 3")
    assert code.read_text("utf-8") == "LIMIT = 1\n"

"""Schemathesis against the running server and its own description: what is described is what happens.

All its checks: no 5xx, only documented statuses, content types, headers and bodies; data that the description forbids
is refused and data that it allows is taken; 405 with `Allow`, 401 without a key; links lead to what was created, and
what was deleted stays away. `schemathesis.toml` and `schemathesis_hooks.py` say what it cannot know.
"""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from tollgate import ADMIN_KEY, Gateway

HERE = pathlib.Path(__file__).resolve().parent

# The systematic phase sends about a hundred requests an operation; it does not depend on the database, so the second
# one gets only what draws on chance and what follows links.
RUNS = {
    "sqlite": ["--phases", "coverage,fuzzing,stateful", "--max-examples", "3"],
    "postgres": ["--phases", "fuzzing,stateful", "--max-examples", "4"],
}


@pytest.fixture(params=RUNS)
def served(request, tmp_path):
    """A gateway of its own: the tool creates and deletes whatever it likes."""
    url = None
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").database("schemathesis")
    gateway = Gateway(tmp_path, database_url=url).start()
    try:
        yield gateway, RUNS[request.param]
        assert gateway.stop() == 0
    finally:
        if gateway.process.poll() is None:
            gateway.kill()
    assert "panicked" not in gateway.output, gateway.output


def test_description_and_server_agree(served, tmp_path):
    gateway, options = served
    key = gateway.api.key_for("schemathesis", budgets=[{"max_limit": 1, "reset_duration": "1d"}])
    outcome = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"),
         "run", f"{gateway.url}/openapi.json",
         # The short paths are the same handlers; what is different about them has tests of its own.
         "--exclude-deprecated",
         "--header", f"Authorization: Bearer {ADMIN_KEY}", *options],
        cwd=tmp_path, capture_output=True, text=True, timeout=900,
        env={**os.environ, "PYTHONPATH": str(HERE), "VIRTUAL_KEY": key, "NO_COLOR": "1"},
    )
    complaints = [line for line in gateway.output.splitlines() if " WARN " in line or " ERROR " in line]
    assert outcome.returncode == 0, "\n".join([outcome.stdout, outcome.stderr, "the server says:", *complaints[-50:]])
    # A run that tests nothing is green as well.
    selected, tested = (int(re.search(rf"{word}:\s+(\d+)", outcome.stdout)[1]) for word in ("Selected", "Tested"))
    assert selected == tested >= 120, outcome.stdout

"""What the tests share: gateways on both engines, a third-party upstream, and callers with keys.

Every test names its own users and profiles (`unique`), so that one gateway serves them all.
"""

import itertools
from types import SimpleNamespace

import pytest

from postgres import Postgres
from third_party import KEY, ThirdParty
from tollgate import Gateway


@pytest.fixture(scope="session")
def third_party_process(tmp_path_factory):
    with ThirdParty(tmp_path_factory.mktemp("third-party")) as server:
        yield server


@pytest.fixture(scope="session")
def third_party(third_party_process):
    return third_party_process.wait()


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as server:
        yield server


def serve(gateway):
    """Runs a gateway for the tests; they end with a clean stop and a log without bugs or secrets."""
    gateway.start()
    try:
        yield gateway
        code = gateway.stop()
        assert code == 0, gateway.output
    finally:
        if gateway.process.poll() is None:
            gateway.kill()
    assert "panicked" not in gateway.output, gateway.output
    for secret in (gateway.environment["TOLLGATE_ADMIN_KEY"], KEY):
        assert secret not in gateway.output


# The third-party server is started first, so that it comes up while everything else does.
@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def gateway(request, third_party_process, tmp_path_factory):
    url = None
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").database("gateway")
    yield from serve(Gateway(tmp_path_factory.mktemp(f"gateway-{request.param}"), database_url=url))


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """What `make run` starts."""
    yield from serve(Gateway(tmp_path_factory.mktemp("demo"), arguments=["--demo"]))


_numbers = itertools.count(1)


@pytest.fixture
def unique():
    return f"e2e-{next(_numbers)}"


def _with_third_party(gateway, third_party):
    api = gateway.api
    if api.http.get("/api/providers/third").status_code == 404:
        api.add_provider("third", third_party.url, KEY)
        for model in ("tiny", "weather", "embed"):
            api.set_price("third", model, 1, 2)
    return SimpleNamespace(gateway=gateway, api=api, provider="third",
                           chat="third/tiny", tools="third/weather", embeddings="third/embed")


@pytest.fixture
def upstream(gateway, third_party):
    """A gateway with the third-party server as its provider."""
    return _with_third_party(gateway, third_party)

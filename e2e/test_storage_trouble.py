"""A full disk and a locked database: refused or waited for, and nothing lost."""

import json
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tollgate import Gateway
from upstream import COST_NANOS, GatedUpstream

SMALL_SEGMENTS = "[journal]\nsegment_bytes = 1048576\n"


@pytest.fixture
def upstream():
    with GatedUpstream() as server:
        yield server


@pytest.fixture
def small_disk(tmp_path):
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(directory)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"may not mount here: {mounted.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


class Caller:
    """A user with a generous budget, and what its answers cost so far."""

    def __init__(self, gateway, upstream):
        self.gateway = gateway
        self.http = httpx.Client(timeout=60)
        api = gateway.api
        api.add_provider("gated", upstream.url, "sk-upstream")
        api.set_price("gated", "m", 1, 2)
        profile = api.add_profile(
            "p", provider_configs=[{"provider_name": "gated", "all_models_allowed": True}],
            budgets=[{"max_limit": 1000, "reset_duration": "1d"}])
        self.user = api.add_user("u")
        self.key = api.assign(self.user, profile["id"])["virtual_key"]["value"]

    def request(self, **fields):
        return {
            "url": f"{self.gateway.base_url}/chat/completions",
            "headers": {"authorization": f"Bearer {self.key}"},
            "json": {"model": "gated/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, **fields},
        }

    def ask(self):
        return self.http.post(**self.request())

    def stream(self, has_begun):
        """Streams to the end; calls `has_begun` at the first event."""
        text = ""
        with self.http.stream("POST", **self.request(stream=True)) as answer:
            assert answer.status_code == 200, answer.read()
            for piece in answer.iter_text():
                if not text:
                    has_begun()
                text += piece
        return text

    def spent(self):
        copies = self.gateway.api.get(f"/api/governance/users/{self.user}/access-profiles")["access_profiles"]
        return round(copies[0]["budgets"][0]["current_usage"] * 1e9)


def fill(directory):
    """Takes all the room there is."""
    path = directory / "filler"
    with open(path, "wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                pass
    return path


def ask_until_refused(caller):
    """What was preallocated is used up first; then requests are refused. Returns how many were answered."""
    for answers in range(20_000):
        answer = caller.ask()
        if answer.status_code != 200:
            assert answer.status_code == 503, answer.text
            assert answer.json()["error"]["code"] == "ledger_unavailable"
            assert answer.headers["retry-after"]
            return answers
    raise AssertionError("never refused")


def test_full_disk_refuses_new_requests_and_loses_no_running_one(small_disk, tmp_path, upstream):
    config = tmp_path / "tollgate.toml"
    config.write_text(SMALL_SEGMENTS)
    gateway = Gateway(small_disk, arguments=["--config", str(config)]).start()
    try:
        caller = Caller(gateway, upstream)
        with ThreadPoolExecutor(8) as pool:
            all_run = threading.Barrier(9)
            streams = [pool.submit(caller.stream, all_run.wait) for _ in range(8)]
            all_run.wait(60)
            filler = fill(small_disk)
            try:
                answers = ask_until_refused(caller)
                assert httpx.get(f"{gateway.url}/health/live").status_code == 200
            finally:
                upstream.gate.set()
            texts = [stream.result() for stream in streams]
        assert all(text.endswith("data: [DONE]\n\n") for text in texts), texts
        filler.unlink()
        gateway.kill()
        gateway.start()
        assert caller.spent() == (answers + len(streams)) * COST_NANOS
        assert caller.ask().status_code == 200
        assert gateway.stop() == 0
    finally:
        gateway.kill()


def test_locked_database_holds_up_neither_requests_nor_accounts(tmp_path, upstream):
    gateway = Gateway(tmp_path).start()
    try:
        caller = Caller(gateway, upstream)
        [database] = [path for path in gateway.data_dir.iterdir()
                      if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"]
        lock = sqlite3.connect(database, isolation_level=None)
        lock.execute("begin immediate")
        for _ in range(20):
            assert caller.ask().status_code == 200
        for path in ("/health/live", "/health/ready"):
            assert httpx.get(gateway.url + path).status_code == 200
        with ThreadPoolExecutor(1) as pool:
            body = json.dumps({"name": "while locked"})
            write = pool.submit(
                gateway.api.http.post, "/api/governance/access-profiles", content=body,
                headers={"content-type": "application/json"})
            assert caller.ask().status_code == 200
            lock.execute("rollback")
            # It waited long enough, or says in good order that it did not.
            answer = write.result()
            assert answer.status_code in (201, 503), answer.text
            assert "sqlite" not in answer.text.lower()
        lock.close()
        gateway.api.add_profile("afterwards")
        assert caller.spent() == 21 * COST_NANOS
        gateway.kill()
        gateway.start()
        assert caller.spent() == 21 * COST_NANOS
        assert gateway.stop() == 0
    finally:
        gateway.kill()

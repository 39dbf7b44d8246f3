"""The gateway as an operator sees it: a process, its command line and its management API."""

import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import httpx

ADMIN_KEY = "tgm-e2e-0123456789abcdef0123456789abcdef"
BINARY = os.environ.get("TOLLGATE_BINARY") or str(
    pathlib.Path(__file__).resolve().parents[1] / "target/debug/tollgate"
)
START_SECONDS = 60
STOP_SECONDS = 60


class Gateway:
    """One `tollgate serve` on a port that the system chose."""

    def __init__(self, directory, *, database_url=None, arguments=(), environment=None):
        self.data_dir = pathlib.Path(directory) / "data"
        self.command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(self.data_dir), *arguments]
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.directory = None
        self.environment = {**inherited, "TOLLGATE_ADMIN_KEY": ADMIN_KEY, **(environment or {})}
        if database_url:
            self.environment["TOLLGATE_DATABASE_URL"] = database_url
        self.process = None
        self.lines = []
        self.url = None

    def start(self):
        self.lines = []
        self.process = subprocess.Popen(
            self.command, cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        )
        threading.Thread(target=self._read, args=(self.process.stdout, self.lines), daemon=True).start()
        self._wait_until_ready()
        return self

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"exited with {self.process.returncode}:\n{self.output}")
            found = re.search(r"127\.0\.0\.1:([1-9][0-9]*)", self.output)
            # The last line of the start; what is printed for people stands before it.
            if found and re.search(r"\bready$", self.output, re.MULTILINE):
                self.url = f"http://127.0.0.1:{found.group(1)}"
                try:
                    if httpx.get(f"{self.url}/health/ready").status_code == 200:
                        return
                except httpx.TransportError:
                    pass
            time.sleep(0.02)  # waiting for another process: nothing to be woken by
        raise AssertionError(f"not ready after {START_SECONDS} s:\n{self.output}")

    def wait_for_line(self, part):
        """Until it has logged this."""
        deadline = time.monotonic() + START_SECONDS
        while part not in self.output:
            assert self.process.poll() is None and time.monotonic() < deadline, self.output
            time.sleep(0.02)  # waiting for another process: nothing to be woken by

    @property
    def output(self):
        return "\n".join(self.lines)

    def stop(self):
        """Stops it as a supervisor does, and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self):
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    @property
    def api(self):
        return Management(self.url)

    @property
    def base_url(self):
        return f"{self.url}/v1"


class Management:
    """The management API, with the admin's key."""

    def __init__(self, url):
        self.http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {ADMIN_KEY}"}, timeout=30)

    def call(self, method, path, body=None, expect=200, headers=None):
        answer = self.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body, expect=201, **options):
        return self.call("POST", path, body, expect, **options)

    def put(self, path, body, **options):
        return self.call("PUT", path, body, **options)

    def add_provider(self, name, base_url, key):
        """An OpenAI-compatible upstream with one credential."""
        self.post("/api/providers", {
            "provider": name,
            "network_config": {"base_url": base_url, "default_request_timeout_in_seconds": 60},
            "custom_provider_config": {"base_provider_type": "openai"},
        })
        self.post(f"/api/providers/{name}/keys", {"name": f"{name}-key", "value": key})

    def set_price(self, provider, model, input_usd, output_usd):
        """Dollars for a million tokens."""
        self.put(f"/api/pricing/{provider}/{model}",
                 {"input_usd_per_million": input_usd, "output_usd_per_million": output_usd})

    def add_profile(self, name, **content):
        return self.post("/api/governance/access-profiles", {"name": name, **content})["access_profile"]

    def add_user(self, name):
        user = self.post("/api/governance/users", {"name": name, "email": f"{name}@example.com"})
        return user["user"]["id"]

    def assign(self, user_id, profile_id):
        """Gives the user the profile; the answer has the new key's secret."""
        return self.post(f"/api/governance/users/{user_id}/access-profiles", {"access_profile_id": profile_id})

    def key_for(self, name, **content):
        """A user of this name with a profile of this content; returns the user's virtual key."""
        profile = self.add_profile(name, **content)
        return self.assign(self.add_user(name), profile["id"])["virtual_key"]["value"]

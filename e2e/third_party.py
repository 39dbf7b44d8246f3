"""LiteLLM's proxy with mock answers: an OpenAI-compatible server that others wrote, as upstream."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import httpx

KEY = "sk-third-party-e2e"
START_SECONDS = 180

TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
}
# YAML reads JSON.
CONFIG = {
    "model_list": [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "none", **answer}}
        for name, answer in {
            "tiny": {"mock_response": "Hello from the other side"},
            "weather": {"mock_tool_calls": [TOOL_CALL]},
            "embed": {"mock_response": [0.1, 0.2, 0.3]},
        }.items()
    ],
    "general_settings": {"master_key": KEY},
}


class ThirdParty:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def __enter__(self):
        config = self.directory / "config.yaml"
        config.write_text(json.dumps(CONFIG))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            **os.environ,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # no download at start
            "LITELLM_TELEMETRY": "False",
        }
        self.log = self.directory / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(pathlib.Path(sys.executable).parent / "litellm"), "--config", str(config),
                 "--host", "127.0.0.1", "--port", str(port)],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
            )
        return self

    def wait(self):
        """Returns when it serves; starting takes a while, which others can use."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health/liveliness").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.1)  # waiting for another process: nothing to be woken by
        raise AssertionError(f"the third-party server does not answer:\n{self.log.read_text()}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

"""What a newcomer sees: `make run`, the printed lines, the SDK, curl."""

import json
import os
import pathlib
import re
import shlex
import subprocess

import httpx
import pytest
from openai import OpenAI

from tollgate import Gateway

MESSAGES = [{"role": "user", "content": "Say hello"}]


def printed_commands(gateway):
    """The curl lines, continued ones joined."""
    text = gateway.output.replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if re.match(r"\s*(\$ )?curl ", line)]


def run(command):
    outcome = subprocess.run(["bash", "-c", command.removeprefix("$ ")], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_first_printed_line_answers_and_shows_its_cost(demo):
    output = run(printed_commands(demo)[0])
    assert "x-tollgate-cost-usd" in output.lower()
    assert '"choices"' in output


def test_second_printed_line_is_refused_with_the_reason(demo):
    output = run(printed_commands(demo)[1])
    assert re.search(r'"code":\s*"(model_blocked|provider_blocked|budget_exceeded)"', output), output


@pytest.fixture
def key(demo, unique):
    return demo.api.key_for(
        unique,
        provider_configs=[{"provider_name": "sandbox", "all_models_allowed": True}],
        budgets=[{"max_limit": 10, "reset_duration": "1d"}],
    )


@pytest.fixture
def model(demo, key):
    listed = httpx.get(f"{demo.base_url}/models", headers={"authorization": f"Bearer {key}"}).json()["data"]
    return next(entry["id"] for entry in listed if "embed" not in entry["id"])


@pytest.mark.parametrize("suffix", ["/v1", "", "/openai/v1", "/openai"])
def test_sdk_plain_and_streamed(demo, key, model, suffix):
    client = OpenAI(base_url=demo.url + suffix, api_key=key, max_retries=0)
    raw = client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES)
    plain = raw.parse()
    assert plain.choices[0].message.content
    assert plain.usage.prompt_tokens > 0
    assert float(raw.headers["x-tollgate-cost-usd"]) > 0
    chunks = list(client.chat.completions.create(
        model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    # The sandbox says the same to the same question.
    assert text == plain.choices[0].message.content
    assert chunks[-1].usage == plain.usage


def test_curl_streams(demo, key, model):
    body = json.dumps({"model": model, "messages": MESSAGES, "stream": True})
    output = run(f"curl -sSN {demo.base_url}/chat/completions -H 'Authorization: Bearer {key}' "
                 f"-H 'Content-Type: application/json' -d '{body}'")
    assert output.rstrip().endswith("data: [DONE]")
    assert "prompt_tokens" not in output


def test_curl_with_a_form_content_type_is_told_so(demo, key):
    status = run(f"curl -sS -o /dev/null -w '%{{http_code}}' {demo.base_url}/chat/completions "
                 f"-H 'Authorization: Bearer {key}' -d '{{}}'")
    assert status == "415"


def test_keys_of_a_demo_are_new_at_each_start(tmp_path):
    gateway = Gateway(tmp_path, arguments=["--demo"])
    keys = []
    for _ in range(2):
        gateway.start()
        try:
            keys += set(re.findall(r"sk-tg-[A-Za-z0-9_-]+", gateway.output))
            assert '"choices"' in run(printed_commands(gateway)[0])
            assert gateway.stop() == 0
        finally:
            gateway.kill()
    assert len(set(keys)) == len(keys)


def test_make_run_serves_a_demo(tmp_path):
    """The command of `make run` itself, through cargo: unoptimised, on another port, with its data elsewhere."""
    root = pathlib.Path(__file__).resolve().parents[1]
    printed = subprocess.run(["make", "--no-print-directory", "-n", "run"], cwd=root, capture_output=True, text=True)
    command = shlex.split(printed.stdout)
    command.remove("--release")
    gateway = Gateway(tmp_path)
    command[command.index("--data-dir") + 1] = str(gateway.data_dir)
    assert command[command.index("--listen") + 1] == "127.0.0.1:8080"
    command[command.index("--listen") + 1] = "127.0.0.1:0"
    gateway.command = command
    gateway.directory = root
    # A newcomer has named no key; and cargo finds what is built already.
    del gateway.environment["TOLLGATE_ADMIN_KEY"]
    gateway.environment |= {name: value for name, value in os.environ.items() if name.startswith(("CARGO", "RUST"))}
    # Building takes as long as it takes; only the start has a limit.
    build = ["build" if word == "run" else word for word in command[:command.index("--")]]
    subprocess.run(build, cwd=root, env=gateway.environment, check=True)
    gateway.start()
    try:
        answered, refused = (run(line) for line in printed_commands(gateway)[:2])
        assert "x-tollgate-cost-usd" in answered and '"choices"' in answered
        assert '"budget_exceeded"' in refused
        assert gateway.stop() == 0
    finally:
        gateway.kill()


def test_nothing_else_is_printed_by_accident(demo):
    assert "panicked" not in demo.output
    assert demo.environment["TOLLGATE_ADMIN_KEY"] not in demo.output


def test_front_page_says_what_this_is(demo):
    page = httpx.get(demo.url)
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    for link in ("/health", "/openapi.json"):
        assert link in page.text

"""The official OpenAI SDK, unchanged, through the gateway, to a server that others wrote."""

import json
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from openai import OpenAI

MESSAGES = [{"role": "user", "content": "Say hello"}]
TOOLS = [{
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}]


@pytest.fixture
def key(upstream, unique):
    return upstream.api.key_for(
        unique,
        provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}],
        budgets=[{"max_limit": 10, "reset_duration": "1d"}],
    )


@pytest.fixture(params=["/v1", "", "/openai/v1", "/openai"])
def client(request, upstream, key):
    return OpenAI(base_url=upstream.gateway.url + request.param, api_key=key, max_retries=0)


def spent(upstream, key):
    """Nano-dollars on the key's one budget, as its holder sees it."""
    quota = upstream.api.get("/api/governance/virtual-keys/quota", headers={"authorization": f"Bearer {key}"})
    [budget] = [limit for limit in quota["limits"] if limit["kind"] == "money"]
    return round(budget["used"] * 1e9)


def test_plain(client, upstream):
    raw = client.chat.completions.with_raw_response.create(model=upstream.chat, messages=MESSAGES)
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello from the other side"
    # A dollar for a million input tokens, two for a million of output.
    cost = answer.usage.prompt_tokens * 1_000 + answer.usage.completion_tokens * 2_000
    assert round(float(raw.headers["x-tollgate-cost-usd"]) * 1e9) == cost
    assert raw.headers["x-request-id"]
    assert raw.headers["x-tollgate-provider"] == upstream.provider


def test_streamed_with_usage(client, upstream, key):
    stream = client.chat.completions.create(
        model=upstream.chat, messages=MESSAGES, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "Hello from the other side"
    usage = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(usage) == 1
    cost = usage[0].prompt_tokens * 1_000 + usage[0].completion_tokens * 2_000
    assert spent(upstream, key) == cost


def test_streamed_without_usage_is_charged_all_the_same(client, upstream, key):
    stream = client.chat.completions.create(model=upstream.chat, messages=MESSAGES, stream=True)
    chunks = list(stream)
    assert [chunk.usage for chunk in chunks if chunk.usage] == []
    assert spent(upstream, key) > 0


@pytest.mark.parametrize("stream", [False, True])
def test_tools(client, upstream, stream):
    answer = client.chat.completions.create(
        model=upstream.tools, messages=MESSAGES, tools=TOOLS, tool_choice="auto", stream=stream)
    if stream:
        # This server sends no tool calls in its mock streams; what it sends must arrive.
        text = "".join(choice.delta.content or "" for chunk in answer for choice in chunk.choices)
        assert text == "This is a mock request"
    else:
        call = answer.choices[0].message.tool_calls[0]
        assert call.function.name == "get_weather"
        assert json.loads(call.function.arguments) == {"city": "Oslo"}


def test_embeddings(client, upstream, key):
    answer = client.embeddings.create(model=upstream.embeddings, input=["a", "b"], encoding_format="float")
    assert answer.data[0].embedding == [0.1, 0.2, 0.3]
    assert spent(upstream, key) == answer.usage.prompt_tokens * 1_000


def test_models_lists_what_may_be_called(upstream, unique):
    key = upstream.api.key_for(
        unique, provider_configs=[{"provider_name": upstream.provider, "allowed_models": ["tiny", "embed"],
                                   "blacklisted_models": ["embed"]}])
    listed = [model.id for model in OpenAI(base_url=upstream.gateway.base_url, api_key=key).models.list()]
    assert listed == ["third/tiny"]


def test_wrong_key(upstream):
    client = OpenAI(base_url=upstream.gateway.base_url, api_key="sk-tg-nobody-has-this-one", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as refused:
        client.chat.completions.create(model=upstream.chat, messages=MESSAGES)
    assert refused.value.code == "virtual_key_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_blocked_model(upstream, unique, stream):
    key = upstream.api.key_for(
        unique, provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True,
                                   "blacklisted_models": ["TINY"]}])
    client = OpenAI(base_url=upstream.gateway.base_url, api_key=key, max_retries=0)
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.chat.completions.create(model=upstream.chat, messages=MESSAGES, stream=stream)
    assert refused.value.code == "model_blocked"
    assert refused.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True])
def test_spent_budget(upstream, unique, stream):
    # A plain answer costs 50,000 nano-dollars, a stream 18,000: room for one and for a few.
    key = upstream.api.key_for(
        unique,
        provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}],
        budgets=[{"max_limit": 0.00007, "reset_duration": "1d"}],
    )
    client = OpenAI(base_url=upstream.gateway.base_url, api_key=key, max_retries=2)
    served = 0
    with pytest.raises(openai.APIStatusError) as refused:
        for _ in range(10):
            answer = client.chat.completions.create(
                model=upstream.chat, messages=MESSAGES, stream=stream, max_tokens=1)
            if stream:
                list(answer)
            served += 1
    assert served >= 1
    assert refused.value.status_code == 402
    assert refused.value.code == "budget_exceeded"
    details = refused.value.body["details"]
    assert details, refused.value.body
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert "x-tollgate-cost-usd" not in refused.value.response.headers


def test_request_limit_says_when_to_come_back(upstream, unique):
    key = upstream.api.key_for(
        unique,
        provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}],
        rate_limit={"request_max_limit": 1, "request_reset_duration": "1h"},
    )
    client = OpenAI(base_url=upstream.gateway.base_url, api_key=key, max_retries=0)
    client.chat.completions.create(model=upstream.chat, messages=MESSAGES)
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model=upstream.chat, messages=MESSAGES)
    assert refused.value.code == "request_limited"
    headers = refused.value.response.headers
    assert 0 < int(headers["retry-after"]) <= 3600
    assert headers["x-should-retry"] == "false"


def test_changes_hold_for_the_next_request(upstream, unique):
    profile = upstream.api.add_profile(
        unique, provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}])
    user = upstream.api.add_user(unique)
    key = upstream.api.assign(user, profile["id"])["virtual_key"]["value"]
    client = OpenAI(base_url=upstream.gateway.base_url, api_key=key, max_retries=0)
    for active in (False, True, False):
        upstream.api.put(f"/api/governance/users/{user}", {"is_active": active})
        if active:
            client.chat.completions.create(model=upstream.chat, messages=MESSAGES)
        else:
            with pytest.raises(openai.PermissionDeniedError) as refused:
                client.chat.completions.create(model=upstream.chat, messages=MESSAGES)
            assert refused.value.code == "access_blocked"


def test_template_update_leaves_copies_alone(upstream, unique):
    profile = upstream.api.add_profile(
        unique, provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}])
    key = upstream.api.assign(upstream.api.add_user(unique), profile["id"])["virtual_key"]["value"]
    upstream.api.put(f"/api/governance/access-profiles/{profile['id']}", {"provider_configs": []})
    client = OpenAI(base_url=upstream.gateway.base_url, api_key=key, max_retries=0)
    client.chat.completions.create(model=upstream.chat, messages=MESSAGES)


def test_revoked_key(upstream, unique):
    profile = upstream.api.add_profile(
        unique, provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}])
    user = upstream.api.add_user(unique)
    issued = upstream.api.assign(user, profile["id"])["virtual_key"]
    listed = upstream.api.get(f"/api/governance/users/{user}/virtual-keys")
    assert issued["value"] not in str(listed)
    upstream.api.call("DELETE", f"/api/governance/users/{user}/access-profiles/virtual-keys/{issued['id']}")
    client = OpenAI(base_url=upstream.gateway.base_url, api_key=issued["value"], max_retries=0)
    with pytest.raises(openai.AuthenticationError) as refused:
        client.chat.completions.create(model=upstream.chat, messages=MESSAGES)
    assert refused.value.code == "virtual_key_not_found"


def test_parallel_callers_are_all_charged(upstream, unique):
    key = upstream.api.key_for(
        unique,
        provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}],
        budgets=[{"max_limit": 10, "reset_duration": "1d"}],
    )
    client = OpenAI(base_url=upstream.gateway.base_url, api_key=key, max_retries=0)

    def one(_):
        raw = client.chat.completions.with_raw_response.create(model=upstream.chat, messages=MESSAGES)
        return round(float(raw.headers["x-tollgate-cost-usd"]) * 1e9)

    with ThreadPoolExecutor(16) as pool:
        costs = list(pool.map(one, range(48)))
    assert spent(upstream, key) == sum(costs)

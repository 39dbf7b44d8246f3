"""What `explain` says of a key with and without a model, and of the tools of MCP clients, against a running server."""

import pytest

EXPLAIN = "/api/governance/explain"


@pytest.fixture
def tools(gateway, unique):
    """Two MCP clients, and a group with one tool of each."""
    api = gateway.api
    ids = {}
    for name, tools in (("files", ["*"]), ("mail", ["read", "send"])):
        made = api.post("/api/mcp/client", {
            "name": f"{unique}-{name}", "connection_type": "http", "connection_string": "https://mcp.example.com",
            "tools_to_execute": tools, "tool_pricing": {"send": 2.5},
        })
        ids[name] = made["client"]["id"]
    group = api.post("/api/mcp/tool-groups", {
        "name": f"{unique}-readers",
        "tools": [{"mcp_client_id": client, "tool_names": ["read"]} for client in ids.values()],
    })
    return ids | {"group": group["tool_group"]["id"]}


def explain(api, **question):
    return api.post(EXPLAIN, question, expect=200)


def code(decision):
    return decision["reason"]["code"] if decision["reason"] else None


def test_a_key_is_explained_without_a_model(sandboxed, unique):
    api = sandboxed
    profile = api.add_profile(
        unique, provider_configs=[{"provider_name": unique, "all_models_allowed": True}],
        budgets=[{"max_limit": 5, "reset_duration": "1d"}],
        rate_limit={"token_max_limit": 100, "token_reset_duration": "1h"},
    )
    user = api.add_user(unique)
    nobody = explain(api, user_id=user)
    assert (nobody["allowed"], code(nobody)) == (False, "provider_blocked")
    key = api.assign(user, profile["id"])["virtual_key"]["id"]

    decision = explain(api, virtual_key_id=key)
    assert decision["allowed"] is True
    assert (decision["provider"], decision["model"], decision["estimate"]) == (unique, None, None)
    assert decision["payer"]["profile_id"] == profile["id"]
    limits = {meter["kind"]: (meter["limit"], meter["refuses"]) for meter in decision["meters"]}
    assert limits == {"money": (5, False), "tokens": (100, False)}

    assert code(explain(api, virtual_key_id=key, provider="somebody-else")) == "provider_blocked"
    assert code(explain(api, virtual_key_id=key, provider=unique, input_tokens=101)) == "token_limited"
    api.put(f"/api/governance/users/{user}", {"is_active": False})
    assert code(explain(api, virtual_key_id=key)) == "access_blocked"


def test_a_tool_is_explained_by_the_profiles_rules_from_the_next_request_on(gateway, tools, unique):
    api = gateway.api
    files, mail = (f"{unique}-{name}" for name in ("files", "mail"))
    profile = api.add_profile(
        unique, mcp_tool_groups=[{"tool_group_id": tools["group"]}], mcp_servers=[{"mcp_server_id": tools["files"]}],
        mcp_tool_overrides=[
            {"mcp_client_id": tools["files"], "tool_name": "remove", "action": "exclude"},
            {"mcp_client_id": tools["mail"], "tool_name": "purge", "action": "include"},
        ], budgets=[{"max_limit": 2, "reset_duration": "1d"}],
    )
    key = api.assign(api.add_user(unique), profile["id"])["virtual_key"]["id"]

    def tool(client, name=None):
        question = {"mcp_client": client} | ({"mcp_tool": name} if name else {})
        return code(explain(api, virtual_key_id=key, **question))

    assert tool(files, "whatever") is None
    assert tool(files.upper(), "whatever") is None
    assert tool(tools["files"], "remove") == "mcp_tool_blocked"
    assert tool(mail, "read") is None
    assert tool(mail, "send") == "mcp_tool_blocked"
    assert tool(mail, "purge") == "mcp_tool_blocked", "its client does not offer it"
    assert tool(mail) is None
    assert tool("nobody", "read") == "mcp_tool_blocked"

    # Every change holds for the next question: of the group, of the client, and of what a call costs.
    api.put(f"/api/mcp/tool-groups/{tools['group']}", {
        "tools": [{"mcp_client_id": tools["mail"], "tool_names": ["send"]}]})
    assert tool(mail, "read") == "mcp_tool_blocked"
    dear = explain(api, virtual_key_id=key, mcp_client=mail, mcp_tool="send")
    assert (code(dear), dear["estimate"]["cost_usd"]) == ("budget_exceeded", 2.5)
    assert (dear["mcp_client"], dear["mcp_tool"]) == (mail, "send")
    api.put(f"/api/mcp/client/{tools['mail']}", {"tool_pricing": {"send": 1.5}})
    assert tool(mail, "send") is None
    api.call("DELETE", f"/api/mcp/client/{tools['mail']}")
    assert tool(mail, "send") == "mcp_tool_blocked"


def test_a_keys_own_tools_cap_those_of_its_holder(gateway, tools, unique):
    api = gateway.api
    files, mail = (f"{unique}-{name}" for name in ("files", "mail"))
    profile = api.add_profile(unique, mcp_servers=[{"mcp_server_id": tools[name]} for name in ("files", "mail")])
    user = api.add_user(unique)
    api.assign(user, profile["id"])
    key = api.post("/api/governance/virtual-keys", {
        "name": f"{unique}-capped", "user_id": user,
        "mcp_configs": [{"mcp_client_name": files, "tools_to_execute": ["read"]}],
    })["virtual_key"]["id"]
    for client, name, expect in (
        (files, "read", None), (files, "write", "mcp_tool_blocked"), (mail, "read", "mcp_tool_blocked"),
    ):
        assert code(explain(api, virtual_key_id=key, mcp_client=client, mcp_tool=name)) == expect
        assert code(explain(api, user_id=user, mcp_client=client, mcp_tool=name)) is None


@pytest.fixture
def sandboxed(gateway, unique):
    """A provider named like the test, which is never called."""
    gateway.api.add_provider(unique, "http://127.0.0.1:9/v1", "sk-nobody")
    return gateway.api


def test_a_key_is_not_freed_by_the_end_of_the_client_it_is_capped_to(gateway, tools, unique):
    api = gateway.api
    files, mail = (f"{unique}-{name}" for name in ("files", "mail"))
    profile = api.add_profile(unique, mcp_servers=[{"mcp_server_id": tools[name]} for name in ("files", "mail")])
    user = api.add_user(unique)
    api.assign(user, profile["id"])
    key = api.post("/api/governance/virtual-keys", {
        "name": f"{unique}-capped", "user_id": user, "mcp_configs": [{"mcp_client_name": files}],
    })["virtual_key"]["id"]

    def blocked():
        for client in (files, mail):
            assert code(explain(api, virtual_key_id=key, mcp_client=client, mcp_tool="read")) == "mcp_tool_blocked"

    blocked()
    api.call("DELETE", f"/api/mcp/client/{tools['files']}")
    path = f"/api/governance/virtual-keys/{key}"
    api.put(path, api.get(path)["virtual_key"])
    blocked()

"""What happens to limits while people live with them: lines that are added, shared and taken away, on real traffic."""

import json

import httpx
import pytest

MESSAGES = [{"role": "user", "content": "Say hello"}]


@pytest.fixture
def call(upstream):
    def call(key):
        return httpx.post(
            f"{upstream.gateway.url}/v1/chat/completions", headers={"authorization": f"Bearer {key}"}, timeout=60,
            json={"model": upstream.chat, "messages": MESSAGES, "max_tokens": 20},
        )
    return call


def budgets(api, key):
    """The lines of money that the key's holder sees, by their limit."""
    quota = api.get("/api/governance/virtual-keys/quota", headers={"authorization": f"Bearer {key}"})
    return {limit["limit"]: limit for limit in quota["limits"] if limit["kind"] == "money"}


def test_a_limit_that_is_added_to_a_used_profile_starts_at_zero(upstream, call, unique):
    api = upstream.api
    profile = api.add_profile(
        unique, provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}],
        budgets=[{"max_limit": 10, "reset_duration": "1M"}],
    )
    key = api.assign(api.add_user(unique), profile["id"])["virtual_key"]["value"]
    first = call(key)
    assert first.status_code == 200, first.text
    cost = float(first.headers["x-tollgate-cost-usd"])
    assert cost > 0

    # Less than what was used by now, were that counted.
    new = round(cost * 0.9, 9)
    path = f"/api/governance/access-profiles/{profile['id']}"
    month = {"id": profile["budgets"][0]["id"], "max_limit": 10, "reset_duration": "1M"}
    api.put(path, {"budgets": [month, {"max_limit": new, "reset_duration": "1d"}]})
    api.post(f"{path}/propagate", {"fields": ["budgets"]}, expect=200)
    lines = budgets(api, key)
    assert (lines[10]["used"], lines[new]["used"]) == (cost, 0)

    second = call(key)
    while second.status_code == 200:
        second = call(key)
    refusal = second.json()["error"]
    assert (second.status_code, refusal["code"]) == (402, "budget_exceeded")
    assert refusal["details"]["limit"] == new, "the refusal names the line that is full"
    assert refusal["details"]["resets_at"]


def test_what_the_audit_trail_says_of_a_changed_duration_is_what_counts(upstream, call, unique):
    api = upstream.api
    profile = api.add_profile(
        unique, provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}],
        budgets=[{"max_limit": 10, "reset_duration": "1M"}],
    )
    user = api.add_user(unique)
    key = api.assign(user, profile["id"])["virtual_key"]["value"]
    path = f"/api/governance/access-profiles/{profile['id']}"

    def propagated(duration, **fields):
        """What starts anew, by the audit trail; and what the holder sees."""
        line = {"id": profile["budgets"][0]["id"], "max_limit": 10, "reset_duration": duration}
        api.put(path, {"budgets": [line], **fields})
        api.post(f"{path}/propagate", {"fields": ["budgets"]}, expect=200)
        entry = api.get(f"{path}/audit-logs?action=propagate&limit=1")["audit_logs"][0]
        return json.loads(entry["metadata"]).get("usage_starts_anew"), budgets(api, key)[10]["used"]

    def starts_anew(before, after, used):
        limit = {"scope": "total", "kind": "money", "reset_duration_before": before, "reset_duration": after,
                 "used": used}
        return [{"limits": [limit], "user_ids": [user], "group_ids": []}]

    cost = float(call(key).headers["x-tollgate-cost-usd"])
    assert propagated("1d") == (starts_anew("1M", "1d", 0), 0)
    daily = float(call(key).headers["x-tollgate-cost-usd"])
    assert budgets(api, key)[10]["used"] == daily
    assert propagated("1d", calendar_aligned=True, time_zone="Pacific/Kiritimati") == (None, daily)
    assert propagated("1M") == (starts_anew("1d", "1M", cost), cost), "what counted by the month before"


def test_members_of_a_team_share_its_limit_and_not_each_others(upstream, call, unique):
    api = upstream.api
    team = api.post("/api/governance/teams", {
        "name": unique, "budgets": [{"max_limit": 7, "reset_duration": "1d"}]})["team"]["id"]
    profile = api.add_profile(
        unique, provider_configs=[{"provider_name": upstream.provider, "all_models_allowed": True}],
        budgets=[{"max_limit": 5, "reset_duration": "1d"}],
    )
    keys = []
    for name in (f"{unique}-a", f"{unique}-b"):
        user = api.add_user(name)
        keys.append(api.assign(user, profile["id"])["virtual_key"]["value"])
        api.put(f"/api/governance/users/{user}/teams", {"team_ids": [team]})
    answer = call(keys[0])
    assert answer.status_code == 200, answer.text
    cost = float(answer.headers["x-tollgate-cost-usd"])
    mine, theirs = (budgets(api, key) for key in keys)
    assert (mine[5]["used"], theirs[5]["used"]) == (cost, 0)
    assert mine[7]["used"] == theirs[7]["used"] == cost

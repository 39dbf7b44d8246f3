"""Every row of the partial-update table, on both path families and with both verbs."""

import itertools

import httpx
import pytest

PREFERRED = "/api/governance/access-profiles"
DEPRECATED = "/api/access-profiles"

FULL = {
    "description": "what it is for",
    "tags": ["a", "b"],
    "provider_configs": [
        {
            "provider_name": "openai",
            "allowed_models": ["gpt-5", "regex:o[0-9].*"],
            "blacklisted_models": ["o1"],
            "weight": 0.5,
            "budgets": [{"max_limit": 3, "reset_duration": "1d"}],
            "rate_limit": {"request_max_limit": 5, "request_reset_duration": "1m"},
        },
        {"provider_name": "anthropic", "all_models_allowed": True},
    ],
    "budgets": [
        {"max_limit": 10.5, "reset_duration": "1M"},
        {"max_limit": 20, "reset_duration": "1Q", "reset_config": {"quarter_start_month": 2}},
        {"max_limit": 0.000000001, "reset_duration": "1h"},
    ],
    "rate_limit": {
        "token_max_limit": 1000, "token_reset_duration": "1h",
        "request_max_limit": 10, "request_reset_duration": "1d",
        "max_parallel_requests": 4,
    },
    "calendar_aligned": True,
    "time_zone": "Europe/Oslo",
    "reservation": "bound",
    "on_unknown_price": "allow",
    "alert_thresholds": [50, 80, 100],
}

FIELDS = [
    "name", "description", "is_active", "tags", "provider_configs", "budgets", "rate_limit", "calendar_aligned",
    "mcp_tool_groups", "mcp_servers", "mcp_tool_overrides", "time_zone", "auto_rotation_interval",
    "govern_created_keys", "on_unknown_price", "reservation", "shadow", "alert_thresholds",
]

_numbers = itertools.count(1)


class Profile:
    """One profile, updated through one path family with one verb."""

    def __init__(self, api, family, verb, content):
        self.api, self.family, self.verb = api, family, verb
        self.name = f"Partial {next(_numbers)} {verb} {family.count('/')} {id(api)}"
        created = api.post(family, {"name": self.name, **content})["access_profile"]
        self.path = f"{family}/{created['id']}"
        self.created = created

    def get(self):
        return self.api.get(self.path)["access_profile"]

    def update(self, body, headers=None):
        """Sends the update; what is answered must be what is stored."""
        updated = self.api.call(self.verb, self.path, body, headers=headers)["access_profile"]
        assert updated == self.get()
        return updated

    def refused(self, body, status=400, headers=None):
        """Sends an update that is refused, and checks that it changed nothing."""
        before = self.get()
        problem = self.api.call(self.verb, self.path, body, expect=status, headers=headers)
        assert self.get() == before
        assert problem["is_bifrost_error"] is True
        assert problem["status_code"] == status
        assert problem["event_id"] == problem["error"]["event_id"]
        assert problem["type"] == problem["error"]["type"]
        return problem

    def check(self, body, **changed):
        """An update changes exactly the named fields, and steps the version once."""
        before = self.get()
        after = self.update(body)
        for field in FIELDS:
            expect = changed.get(field, before[field])
            assert after[field] == expect, field
        assert after["version"] == before["version"] + 1
        assert after["id"] == before["id"]
        assert after["created_at"] == before["created_at"]
        return after


@pytest.fixture(params=[PREFERRED, DEPRECATED])
def family(request):
    return request.param


@pytest.fixture(params=["PUT", "PATCH"])
def verb(request):
    return request.param


@pytest.fixture
def profile(gateway, family, verb):
    return Profile(gateway.api, family, verb, FULL)


def param_of(problem):
    return problem["error"]["param"]


def without_ids(value):
    """The value as an administrator wrote it: without what the server adds."""
    if isinstance(value, list):
        return [without_ids(item) for item in value]
    if isinstance(value, dict):
        return {name: without_ids(item) for name, item in value.items() if name != "id"}
    return value


def test_create_keeps_what_was_sent(profile):
    created = profile.created
    assert created == profile.get()
    assert created["name"] == profile.name
    assert created["is_active"] is True
    assert created["version"] == 1
    for field in ("description", "tags", "calendar_aligned", "time_zone", "reservation", "on_unknown_price",
                  "alert_thresholds"):
        assert created[field] == FULL[field], field
    assert [budget["max_limit"] for budget in created["budgets"]] == [10.5, 20, 1e-9]
    assert {budget["scope"] for budget in created["budgets"]} == {"total"}
    openai, anthropic = created["provider_configs"]
    assert openai["allowed_models"] == ["gpt-5", "regex:o[0-9].*"]
    assert openai["budgets"][0]["scope"] == "provider:openai"
    assert openai["rate_limit"]["request_max_limit"] == 5
    assert anthropic["all_models_allowed"] is True
    assert anthropic["rate_limit"] is None
    assert created["rate_limit"]["max_parallel_requests"] == 4


@pytest.mark.parametrize("body, changed", [
    ({"description": "new"}, {"description": "new"}),
    ({"is_active": False}, {"is_active": False}),
    ({"tags": ["c"]}, {"tags": ["c"]}),
    ({"calendar_aligned": False}, {"calendar_aligned": False}),
    ({"time_zone": "Asia/Kathmandu"}, {"time_zone": "Asia/Kathmandu"}),
    ({"reservation": "estimate"}, {"reservation": "estimate"}),
    ({"on_unknown_price": "deny"}, {"on_unknown_price": "deny"}),
    ({"shadow": True}, {"shadow": True}),
    ({"alert_thresholds": [90]}, {"alert_thresholds": [90]}),
    ({"govern_created_keys": True}, {"govern_created_keys": True}),
    ({"auto_rotation_interval": "12h"}, {"auto_rotation_interval": 43_200_000_000_000}),
], ids=lambda value: next(iter(value)))
def test_omitted_fields_are_kept(profile, body, changed):
    profile.check(body, **changed)


def test_empty_body_changes_nothing(profile):
    before = profile.get()
    assert profile.update({}) == before


def test_update_without_effect_leaves_the_version(profile):
    before = profile.get()
    after = profile.update({"name": before["name"], "tags": before["tags"], "rate_limit": FULL["rate_limit"]})
    assert after == before


def test_rate_limit_null_clears(profile):
    profile.check({"rate_limit": None}, rate_limit=None)
    assert profile.update({"rate_limit": None})["version"] == 2


def test_rate_limit_object_replaces(profile):
    limit = {"token_max_limit": 7, "token_reset_duration": "1w"}
    after = profile.update({"rate_limit": limit})["rate_limit"]
    assert after["token_max_limit"] == 7
    assert after["token_reset_duration"] == "1w"
    assert after["request_max_limit"] is None
    assert after["max_parallel_requests"] is None


@pytest.mark.parametrize("limit", [
    {},
    {"token_max_limit": None, "request_max_limit": None},
    {"token_max_limit": 5},
    {"token_reset_duration": "1h"},
    {"request_max_limit": 5, "request_reset_duration": "1Q"},
    {"request_max_limit": 1.5, "request_reset_duration": "1h"},
    {"request_max_limit": -1, "request_reset_duration": "1h"},
    {"request_max_limit": "5", "request_reset_duration": "1h"},
    [],
    "none",
])
def test_rate_limit_that_is_none_is_refused(profile, limit):
    assert param_of(profile.refused({"rate_limit": limit})).startswith("/rate_limit")


def test_description_null_clears(profile):
    profile.check({"description": None}, description=None)


def test_calendar_aligned_null_keeps(profile):
    before = profile.get()
    assert profile.update({"calendar_aligned": None}) == before


@pytest.mark.parametrize("field", [
    "tags", "provider_configs", "budgets", "mcp_tool_groups", "mcp_servers", "mcp_tool_overrides", "alert_thresholds",
])
def test_empty_array_empties(profile, field):
    # What is empty already stays, and then there is no new version.
    if profile.get()[field]:
        profile.check({field: []}, **{field: []})
    else:
        profile.update({field: []})
    assert profile.get()[field] == []


def test_array_replaces_the_whole_list(profile):
    after = profile.update({"provider_configs": [{"provider_name": "gemini", "allowed_models": ["*"]}]})
    assert [config["provider_name"] for config in after["provider_configs"]] == ["gemini"]
    after = profile.update({"budgets": [{"max_limit": 1, "reset_duration": "1Y"}]})
    assert [budget["reset_duration"] for budget in after["budgets"]] == ["1Y"]


def ids(budgets):
    return [budget["id"] for budget in budgets]


def test_budget_that_names_its_id_keeps_it(profile):
    month, quarter, hour = ids(profile.get()["budgets"])
    after = profile.update({"budgets": [
        {"id": hour, "max_limit": 9, "reset_duration": "1h"},
        {"id": month, "max_limit": 11, "reset_duration": "1d"},
    ]})["budgets"]
    assert ids(after) == [hour, month]
    assert [budget["reset_duration"] for budget in after] == ["1h", "1d"]
    assert quarter not in ids(after)


def test_budget_matches_an_old_line_with_the_same_reset(profile):
    month, quarter, hour = ids(profile.get()["budgets"])
    after = ids(profile.update({"budgets": [
        {"max_limit": 1, "reset_duration": "1h"},
        {"max_limit": 2, "reset_duration": "1h"},
        {"max_limit": 3, "reset_duration": "1Q", "reset_config": {"quarter_start_month": 2}},
        {"max_limit": 4, "reset_duration": "1Q", "reset_config": {"quarter_start_month": 3}},
        {"max_limit": 5, "reset_duration": "1M"},
    ]})["budgets"])
    assert (after[0], after[2], after[4]) == (hour, quarter, month)
    assert len(set(after)) == 5
    assert not {after[1], after[3]} & {month, quarter, hour}


def test_equal_budgets_match_in_order(profile):
    first = ids(profile.update({"budgets": [{"max_limit": n, "reset_duration": "1d"} for n in (1, 2, 3)]})["budgets"])
    after = ids(profile.update({"budgets": [{"max_limit": n, "reset_duration": "1d"} for n in (4, 5)]})["budgets"])
    assert after == first[:2]
    # A line that is named is taken; the others match what is left, in order.
    third = ids(profile.update({"budgets": [
        {"max_limit": 6, "reset_duration": "1d"},
        {"id": first[0], "max_limit": 7, "reset_duration": "1d"},
    ]})["budgets"])
    assert third == [first[1], first[0]]


def test_provider_budgets_keep_their_ids(profile):
    line = profile.get()["provider_configs"][0]["budgets"][0]["id"]
    after = profile.update({"provider_configs": [
        {"provider_name": "anthropic", "all_models_allowed": True},
        {"provider_name": "openai", "budgets": [{"max_limit": 4, "reset_duration": "1d"}]},
    ]})["provider_configs"]
    assert after[1]["budgets"][0]["id"] == line
    assert after[1]["budgets"][0]["max_limit"] == 4


@pytest.mark.parametrize("budgets, param", [
    ([{"reset_duration": "1d"}], "/budgets/0/max_limit"),
    ([{"max_limit": 1}], "/budgets/0/reset_duration"),
    ([{"max_limit": -1, "reset_duration": "1d"}], "/budgets/0/max_limit"),
    ([{"max_limit": 0.0000000001, "reset_duration": "1d"}], "/budgets/0/max_limit"),
    ([{"max_limit": "1", "reset_duration": "1d"}], "/budgets/0/max_limit"),
    ([{"max_limit": 1e300, "reset_duration": "1d"}], "/budgets/0/max_limit"),
    ([{"max_limit": 1, "reset_duration": "1m"}], "/budgets/0/reset_duration"),
    ([{"max_limit": 1, "reset_duration": "2d"}], "/budgets/0/reset_duration"),
    ([{"max_limit": 1, "reset_duration": "1d", "reset_config": {"quarter_start_month": 2}}], "/budgets/0/reset_config"),
    ([{"max_limit": 1, "reset_duration": "1Q", "reset_config": {"quarter_start_month": 13}}],
     "/budgets/0/reset_config/quarter_start_month"),
    ([{"max_limit": 1, "reset_duration": "1d", "limit": 2}], "/budgets/0/limit"),
    ([{"max_limit": 1, "reset_duration": "1d"}, 7], "/budgets/1"),
    ({"max_limit": 1}, "/budgets"),
])
def test_bad_budgets_are_refused_where_they_are(profile, budgets, param):
    assert param_of(profile.refused({"budgets": budgets})).startswith(param)


def test_name_is_trimmed(profile):
    name = f"{profile.name} renamed"
    profile.check({"name": f" \t{name}\n "}, name=name)


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, 7, None, ["a"]])
def test_bad_name_is_refused(profile, name):
    assert param_of(profile.refused({"name": name})) == "/name"


def test_longest_name_is_taken(profile):
    name = (profile.name + "é" * 255)[:255]
    profile.check({"name": name}, name=name)


def test_name_is_unique_regardless_of_case(profile):
    other = Profile(profile.api, profile.family, profile.verb, {})
    profile.refused({"name": other.name.upper()}, status=409)
    profile.refused({"name": f"  {other.name.lower()} "}, status=409)
    # One's own name in another case is free.
    own = profile.name.upper()
    profile.check({"name": own}, name=own)


def test_what_was_read_can_be_sent_back(profile):
    before = profile.get()
    assert profile.update(before) == before
    edited = {**before, "description": "edited"}
    profile.check(edited, description="edited")


def test_read_only_fields_are_ignored(profile):
    before = profile.get()
    after = profile.update({
        "id": before["id"] + 1, "version": 99, "created_at": "2001-01-01T00:00:00Z",
        "updated_at": "2001-01-01T00:00:00Z",
    })
    assert after == before
    after = profile.update({"budgets": [
        {"max_limit": 1, "reset_duration": "1M", "current_usage": 0.7, "scope": "provider:x", "reserved": 3,
         "remaining": 5, "last_reset": "2001-01-01T00:00:00Z", "resets_at": "2001-01-01T00:00:00Z"},
    ]})
    assert after["budgets"][0]["current_usage"] == 0
    assert after["budgets"][0]["scope"] == "total"
    assert after["version"] == before["version"] + 1


@pytest.mark.parametrize("body, param, near", [
    ({"budget": []}, "/budget", "budgets"),
    ({"names": "x"}, "/names", "name"),
    ({"Name": "x"}, "/Name", "name"),
    ({"provider_configs": [{"provider_name": "x", "allowed_model": []}]}, "/provider_configs/0/allowed_model",
     "allowed_models"),
    ({"rate_limit": {"tokens_max_limit": 1, "token_reset_duration": "1h"}}, "/rate_limit/tokens_max_limit",
     "token_max_limit"),
])
def test_unknown_field_is_refused_and_the_nearest_one_named(profile, body, param, near):
    problem = profile.refused(body)
    entries = {entry["param"]: entry["message"] for entry in problem["extra_fields"]["errors"]}
    assert f"`{near}`" in entries[param]


@pytest.mark.parametrize("field", [
    field for field in FIELDS if field not in ("description", "calendar_aligned", "rate_limit")
])
def test_top_level_null_is_refused(profile, field):
    assert param_of(profile.refused({field: None})) == f"/{field}"


def test_null_inside_means_not_set(profile):
    after = profile.update({
        "provider_configs": [{"provider_name": "openai", "weight": None, "rate_limit": None}],
        "rate_limit": {"token_max_limit": None, "token_reset_duration": None,
                       "request_max_limit": 3, "request_reset_duration": "1h"},
        "budgets": [{"max_limit": 1, "reset_duration": "1d", "reset_config": None}],
    })
    config = after["provider_configs"][0]
    assert config["weight"] is None
    assert config["rate_limit"] is None
    assert after["rate_limit"]["token_max_limit"] is None
    assert after["rate_limit"]["request_max_limit"] == 3


def providers(count):
    return [{"provider_name": f"p{n}"} for n in range(count)]


def budgets(count):
    return [{"max_limit": n, "reset_duration": "1d"} for n in range(count)]


def tags(count):
    return [f"t{n}" for n in range(count)]


@pytest.mark.parametrize("field, make, most", [
    ("provider_configs", providers, 100), ("budgets", budgets, 100), ("tags", tags, 50),
])
def test_sizes_are_limited_on_update_and_not_on_create(profile, field, make, most):
    assert param_of(profile.refused({field: make(most + 1)})).startswith(f"/{field}")
    assert len(profile.update({field: make(most)})[field]) == most
    big = Profile(profile.api, profile.family, profile.verb, {field: make(most + 1)})
    assert len(big.created[field]) == most + 1
    # What is there already does not stand in the way of another update.
    assert len(big.update({"description": "x"})[field]) == most + 1


def test_stale_if_match_is_refused(profile):
    etag = profile.api.http.get(profile.path).headers["etag"]
    assert etag == '"1"'
    profile.update({"description": "two"}, headers={"if-match": etag})
    profile.refused({"description": "three"}, status=412, headers={"if-match": etag})
    profile.update({"description": "three"})
    assert profile.api.http.get(profile.path).headers["etag"] == '"3"'


def test_all_problems_are_reported_together_and_nothing_is_changed(profile):
    problem = profile.refused({
        "description": "must not stay",
        "budgets": [{"max_limit": -1, "reset_duration": "1d"}, {"max_limit": 1, "reset_duration": "9d"}],
        "tags": [1],
        "nonsense": True,
        "time_zone": "Mars/Olympus",
        "provider_configs": [{"provider_name": "UPPER"}, {"provider_name": "a", "weight": "heavy"}],
    })
    params = {entry["param"] for entry in problem["extra_fields"]["errors"]}
    assert params >= {"/budgets/0/max_limit", "/budgets/1/reset_duration", "/tags/0", "/nonsense", "/time_zone",
                      "/provider_configs/0/provider_name", "/provider_configs/1/weight"}
    assert all(entry["code"] and entry["message"] for entry in problem["extra_fields"]["errors"])


def test_provider_appears_once(profile):
    problem = profile.refused({"provider_configs": [{"provider_name": name} for name in ("a", "b", "a")]})
    assert param_of(problem) == "/provider_configs/2/provider_name"


@pytest.mark.parametrize("entry", ["regex:(", "regex:" + "(a{999}){999}{999}"])
def test_bad_model_pattern_is_refused(profile, entry):
    problem = profile.refused({"provider_configs": [{"provider_name": "x", "allowed_models": ["ok", entry]}]})
    assert param_of(problem) == "/provider_configs/0/allowed_models/1"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b'{"name": "a"} x', b"\xff\xfe", b'{"name": "\xff"}'])
def test_malformed_body_is_refused(profile, body):
    before = profile.get()
    answer = profile.api.http.request(
        profile.verb, profile.path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["is_bifrost_error"] is True
    assert profile.get() == before


def test_duplicate_field_is_refused(profile):
    before = profile.get()
    answer = profile.api.http.request(
        profile.verb, profile.path, content=b'{"description": "a", "description": "b"}',
        headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert profile.get() == before


def test_deeply_nested_body_is_refused(profile):
    body = b'{"tags": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    answer = profile.api.http.request(
        profile.verb, profile.path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413), answer.text
    assert profile.get()["version"] == 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_wrong_content_type_is_refused(profile, content_type):
    # On a connection of its own: the body may be left unread, and then the connection ends with the answer.
    headers = {**profile.api.http.headers, "content-type": content_type, "connection": "close"}
    answer = httpx.request(
        profile.verb, f"{profile.api.http.base_url}{profile.path}", content=b'{"description": "x"}', headers=headers)
    assert answer.status_code == 415, answer.text
    assert profile.get()["description"] == FULL["description"]


@pytest.mark.parametrize("missing", ["999999999", "0", "abc", "-1", "1e3", "99999999999999999999999999"])
def test_unknown_profile(gateway, family, verb, missing):
    answer = gateway.api.http.request(verb, f"{family}/{missing}", json={"description": "x"})
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["is_bifrost_error"] is True
    if missing == "999999999":
        assert answer.status_code == 404


def test_other_verbs_are_refused(gateway, family, profile):
    answer = gateway.api.http.request("POST", profile.path, json={})
    assert answer.status_code == 405
    assert {"GET", "PUT", "PATCH", "DELETE"} <= {verb.strip() for verb in answer.headers["allow"].split(",")}


def test_deprecated_family_says_where_to_go(profile):
    answer = profile.api.http.request(profile.verb, profile.path, json={"description": "x"})
    if profile.family == DEPRECATED:
        successor = profile.path.replace(DEPRECATED, PREFERRED)
        assert answer.headers["deprecation"]
        assert answer.headers["link"] == f'<{successor}>; rel="successor-version"'
    else:
        assert "deprecation" not in answer.headers
        assert "link" not in answer.headers


def test_delete(profile):
    profile.api.call("DELETE", profile.path)
    profile.api.get(profile.path, expect=404)
    profile.api.call(profile.verb, profile.path, {"description": "x"}, expect=404)


def test_delete_is_refused_while_a_user_holds_a_copy(profile):
    user = profile.api.add_user(f"holder-{profile.created['id']}")
    profile.api.assign(user, profile.created["id"])
    profile.api.call("DELETE", profile.path, expect=409)
    assert profile.api.get(profile.path)["user_count"] == 1

"""Which credential opens which door, and what happens at the wrong one."""

import base64

import httpx
import pytest

from tollgate import ADMIN_KEY

CHAT = {"model": "nobody/nothing", "messages": []}


@pytest.fixture
def key(gateway, unique):
    return gateway.api.key_for(unique)


def credential(kind, key):
    basic = base64.b64encode(f"admin:{ADMIN_KEY}".encode()).decode()
    return {
        "nothing": {},
        "virtual key": {"authorization": f"Bearer {key}"},
        "virtual key in x-api-key": {"x-api-key": key},
        "management key in x-api-key": {"x-api-key": ADMIN_KEY},
        "basic": {"authorization": f"Basic {basic}"},
        "bare": {"authorization": ADMIN_KEY},
        "unknown management key": {"authorization": "Bearer tgm-0000000000000000000000000000000000000000"},
        "session cookie": {"cookie": "__Host-tollgate=abc; session=abc"},
        "session token": {"authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc"},
        "two": [("authorization", f"Bearer {ADMIN_KEY}"), ("authorization", f"Bearer {key}")],
    }[kind]


MANAGEMENT = [
    ("GET", "/api/governance/access-profiles"),
    ("PUT", "/api/governance/access-profiles/1"),
    ("PATCH", "/api/access-profiles/1"),
    ("GET", "/api/governance/users"),
    ("GET", "/api/providers"),
]


@pytest.mark.parametrize("method, path", MANAGEMENT)
@pytest.mark.parametrize("kind", [
    "nothing", "virtual key", "virtual key in x-api-key", "management key in x-api-key", "basic", "bare",
    "unknown management key", "session cookie", "session token", "two",
])
def test_management_takes_only_a_management_key_as_bearer(gateway, key, method, path, kind):
    answer = httpx.request(method, gateway.url + path, headers=credential(kind, key))
    assert answer.status_code == 401, answer.text
    body = answer.json()
    assert body["is_bifrost_error"] is True
    assert body["status_code"] == 401
    assert "Bearer" in body["error"]["message"]
    assert answer.headers["x-request-id"]
    for secret in (key, ADMIN_KEY):
        assert secret not in answer.text


@pytest.mark.parametrize("query", ["key", "api_key", "access_token"])
def test_management_key_in_the_query_is_refused(gateway, query):
    answer = httpx.get(f"{gateway.url}/api/governance/users", params={query: ADMIN_KEY})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", [
    "/api/governance/%61ccess-profiles",
    "/api/governance%2Faccess-profiles",
    "/api/governance/access-profiles/",
    "/api/governance//access-profiles",
    "//api/governance/access-profiles",
    "/./api/governance/access-profiles",
    "/health/../api/governance/access-profiles",
    "/health/%2e%2e/api/governance/access-profiles",
    "/v1/../api/governance/access-profiles",
    "/v1/models/../../api/governance/access-profiles",
    "/API/governance/access-profiles",
    "/api/governance/access-profiles;x",
    "/api\\governance\\access-profiles",
    "/%61pi/governance/access-profiles",
])
def test_no_spelling_of_a_path_goes_around_the_door(gateway, path):
    import http.client  # sends the path as it is

    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=10)
    connection.putrequest("GET", path, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    assert answer.status in (400, 401, 404), (path, answer.status, body)
    assert "access_profiles" not in body


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/v1/chat/completions", "/v1/embeddings"])
class TestDataPlane:
    def refused(self, gateway, path, headers, status, code, **options):
        answer = httpx.post(gateway.url + path, json=CHAT, headers=headers, **options)
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert error["code"] == code
        assert error["message"] and "type" in error and "param" in error
        assert answer.headers["x-request-id"]
        assert ADMIN_KEY not in answer.text

    def test_no_key(self, gateway, path):
        self.refused(gateway, path, {}, 401, "virtual_key_required")
        # What SDKs send when nobody told them a key.
        self.refused(gateway, path, {"authorization": "Bearer dummy"}, 401, "virtual_key_required")

    def test_unknown_key(self, gateway, path):
        self.refused(gateway, path, {"authorization": "Bearer sk-tg-unknown"}, 401, "virtual_key_not_found")

    @pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-tollgate-key",
                                        "x-bf-vk"])
    def test_management_key_is_refused_anywhere(self, gateway, key, path, header):
        value = f"Bearer {ADMIN_KEY}" if header == "authorization" else ADMIN_KEY
        self.refused(gateway, path, {header: value}, 401, "virtual_key_required")
        # Also beside a good one.
        good = "x-api-key" if header == "authorization" else "authorization"
        good_value = key if good == "x-api-key" else f"Bearer {key}"
        self.refused(gateway, path, {header: value, good: good_value}, 401, "virtual_key_required")

    @pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-tollgate-key",
                                        "x-bf-vk"])
    def test_every_accepted_header_opens(self, gateway, key, path, header):
        value = f"Bearer {key}" if header == "authorization" else key
        # Known, but granted nothing.
        self.refused(gateway, path, {header: value}, 403, "model_blocked")
        if header != "authorization":
            self.refused(gateway, path, {header: value, "authorization": "Bearer dummy"}, 403, "model_blocked")

    def test_two_different_keys_are_refused(self, gateway, key, unique, path):
        other = gateway.api.key_for(f"{unique}-other")
        headers = {"authorization": f"Bearer {key}", "x-api-key": other}
        self.refused(gateway, path, headers, 401, "virtual_key_required")
        # The same one twice is one.
        self.refused(gateway, path, {"authorization": f"Bearer {key}", "x-api-key": key}, 403, "model_blocked")

    def test_key_in_the_query_is_for_other_routes(self, gateway, key, path):
        self.refused(gateway, path, {}, 401, "virtual_key_required", params={"key": key})


def test_quota_is_the_holders_own_view(gateway, key):
    path = f"{gateway.url}/api/governance/virtual-keys/quota"
    assert httpx.get(path, headers={"authorization": f"Bearer {key}"}).status_code == 200
    for headers in ({}, {"authorization": f"Bearer {ADMIN_KEY}"}, {"authorization": "Bearer sk-tg-unknown"}):
        answer = httpx.get(path, headers=headers)
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/openapi.json", "/metrics", "/"])
def test_open_doors(gateway, path):
    answer = httpx.get(gateway.url + path)
    assert answer.status_code == 200, answer.text
    assert ADMIN_KEY not in answer.text


def test_every_documented_operation_is_closed_without_a_key(gateway):
    document = httpx.get(f"{gateway.url}/openapi.json").json()
    operations = [(method, path) for path, item in document["paths"].items() for method in item
                  if method in ("get", "post", "put", "patch", "delete") and path.startswith("/api/")]
    assert len(operations) > 20
    for method, path in operations:
        concrete = path.replace("{", "").replace("}", "")
        answer = httpx.request(method, gateway.url + concrete)
        assert answer.status_code == 401, (method, path, answer.text)


def test_unknown_routes(gateway, key):
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx.post(f"{gateway.url}/v1/nowhere", json={}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    answer = httpx.put(f"{gateway.url}/v1/chat/completions", json={}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]
    answer = gateway.api.http.get("/api/nowhere")
    assert answer.status_code == 404
    assert answer.json()["is_bifrost_error"] is True

"""A client that a generator makes from the API's own description works, with types, as it comes."""

import importlib
import subprocess
import sys

import httpx
import pytest

from tollgate import ADMIN_KEY

PACKAGE = "tollgate_client"
# What the generator would do after its work needs programs that are not needed here.
CONFIG = "post_hooks: []\n"


@pytest.fixture(scope="module")
def package(gateway, tmp_path_factory):
    """The generated package; the generator has nothing to complain about."""
    directory = tmp_path_factory.mktemp("generated")
    (directory / "openapi.json").write_bytes(httpx.get(f"{gateway.url}/openapi.json").content)
    (directory / "config.yml").write_text(CONFIG)
    outcome = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--config", "config.yml",
         "--meta", "none", "--output-path", PACKAGE, "--fail-on-warning"],
        cwd=directory, capture_output=True, text=True, timeout=120,
    )
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 0, said
    assert said.strip() == f"Generating {PACKAGE}", said
    sys.path.insert(0, str(directory))
    yield importlib.import_module(PACKAGE)
    sys.path.remove(str(directory))
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


class Api:
    """Calls operations by the name of their module; what is answered is typed, and no error."""

    def __init__(self, package, url):
        self.package = package
        self.client = package.AuthenticatedClient(base_url=url, token=ADMIN_KEY, raise_on_unexpected_status=True)
        self.models = importlib.import_module(f"{PACKAGE}.models")

    def __call__(self, operation, *arguments, status=200, **options):
        module = importlib.import_module(f"{PACKAGE}.api.{operation}")
        answer = module.sync_detailed(*arguments, client=self.client, **options)
        assert answer.status_code == status, answer.content
        assert answer.parsed is not None
        return answer


@pytest.fixture
def api(package, gateway):
    return Api(package, gateway.url)


@pytest.fixture
def profile(api, unique):
    """A profile with a budget, a grant and a tag."""
    models = api.models
    body = models.CreateAccessProfile(
        name=unique,
        description="made by a generated client",
        tags=[unique],
        provider_configs=[models.ProviderConfigInput(provider_name="sandbox", all_models_allowed=True)],
        budgets=[models.BudgetInput(max_limit=12.5, reset_duration=models.BudgetInputResetDuration("1M"))],
        rate_limit=models.RateLimitInput(max_parallel_requests=3),
    )
    return api("access_profiles.create_access_profile", body=body, status=201).parsed.access_profile


def test_profile_is_created_read_listed_updated_cloned_and_deleted(api, profile, unique):
    models = api.models
    assert isinstance(profile, models.AccessProfileView)
    assert (profile.name, profile.version, profile.is_active) == (unique, 1, True)
    assert profile.budgets[0].max_limit == 12.5

    read = api("access_profiles.get_access_profile", profile.id)
    assert read.parsed.access_profile == profile
    assert read.parsed.user_count == 0
    listed = api("access_profiles.list_access_profiles", search=unique, tags=unique).parsed
    assert [each.id for each in listed.access_profiles] == [profile.id]
    assert (listed.count, listed.total_count, listed.limit, listed.offset) == (1, 1, 25, 0)

    change = models.UpdateAccessProfile(description=None, tags=[])
    updated = api("access_profiles.update_access_profile", profile.id, body=change, if_match=read.headers["etag"])
    assert updated.parsed.access_profile.version == 2
    assert (updated.parsed.access_profile.description, updated.parsed.access_profile.tags) == (None, [])
    assert updated.parsed.access_profile.budgets[0].id == profile.budgets[0].id
    stale = api("access_profiles.update_access_profile", profile.id, body=change, if_match=read.headers["etag"],
                status=412)
    assert stale.parsed.error.code == "stale_version"
    whole = models.UpdateAccessProfile.from_dict(updated.parsed.access_profile.to_dict())
    assert api("access_profiles.update_access_profile", profile.id, body=whole).parsed == updated.parsed

    clone = api("access_profiles.clone_access_profile", profile.id,
                body=models.CloneAccessProfile(name=f"{unique}-clone"), status=201).parsed.access_profile
    assert clone.budgets[0].id != profile.budgets[0].id
    diff = api("access_profiles.diff_access_profile_versions", profile.id, 1, 2).parsed
    assert {each.field for each in diff.changes} == {"/description", "/tags/0"}

    for each in (clone, profile):
        assert api("access_profiles.delete_access_profile", each.id).parsed.message
        assert api("access_profiles.get_access_profile", each.id, status=404).parsed.error.code == "not_found"


def test_profile_is_assigned_propagated_explained_and_taken_away(api, profile, unique):
    models = api.models
    user = api("users.create_user", body=models.CreateUser(name=unique, email=f"{unique}@example.com"),
               status=201).parsed.user
    assigned = api("access_profiles.assign_access_profile", user.id,
                   body=models.AssignAccessProfile(access_profile_id=profile.id), status=201).parsed
    assert assigned.virtual_key.value.startswith("sk-tg-")
    assert assigned.access_profile.parent_profile_id == profile.id

    api("access_profiles.update_access_profile", profile.id, body=models.UpdateAccessProfile(
        budgets=[models.BudgetInput(max_limit=20, reset_duration=models.BudgetInputResetDuration("1M"))]))
    fields = [models.PropagateFieldsItem.BUDGETS]
    dry = api("access_profiles.propagate_access_profile", profile.id,
              body=models.Propagate(fields=fields, dry_run=True)).parsed
    assert (dry.applied, dry.affected_users, len(dry.changes)) == (False, 1, 1)
    done = api("access_profiles.propagate_access_profile", profile.id, body=models.Propagate(fields=fields)).parsed
    assert (done.applied, done.user_ids) == (True, [user.id])
    [copy] = api("access_profiles.list_user_access_profiles", user.id).parsed.access_profiles
    assert copy.budgets[0].max_limit == 20

    question = models.ExplainDecision(user_id=user.id, model="nobody/nothing")
    decision = api("policy.explain_decision", body=question).parsed
    assert decision.allowed is False
    assert decision.reason.code == "model_blocked"
    policy = api("policy.get_effective_policy", user.id).parsed
    assert policy.to_dict()["grants"]

    refused = api("access_profiles.delete_access_profile", profile.id, status=409)
    assert refused.parsed.error.code == "copies_exist"
    gone = api("access_profiles.detach_access_profile", user.id, profile.id).parsed
    assert gone.deleted_vk_count == 1
    api("users.delete_user", user.id)
    api("access_profiles.delete_access_profile", profile.id)


def test_problems_are_typed(api, unique):
    models = api.models
    body = models.CreateAccessProfile(name=" ", budgets=[
        models.BudgetInput(max_limit=-1, reset_duration=models.BudgetInputResetDuration("1d"))])
    problem = api("access_profiles.create_access_profile", body=body, status=400).parsed
    assert isinstance(problem, models.ErrorBody)
    assert [each.param for each in problem.extra_fields.errors] == ["/name", "/budgets/0/max_limit"]
    assert all(isinstance(each, models.FieldProblem) for each in problem.extra_fields.errors)

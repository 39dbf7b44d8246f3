"""What Schemathesis cannot know of this API."""

import re

import schemathesis
from schemathesis.checks import CHECKS
from schemathesis.openapi.checks import RejectedPositiveData

# Codes of rules that no schema can say: what values mean to each other, to what is stored, and to what this machine may
# connect to; and decimals, which `multipleOf` would judge with floats. See docs/api-design.md.
BEYOND_SCHEMAS = {"inconsistent", "unknown_reference", "unusable_address", "too_precise"}

ENTITY_TAG = re.compile(r'"[0-9]+"|\*')

accepts_positive_data = CHECKS.get_one("positive_data_acceptance")


@schemathesis.check
def valid_data_is_accepted(ctx, response, case):
    """Data that the schema allows is refused only for what the schema cannot say."""
    try:
        return accepts_positive_data(ctx, response, case)
    except RejectedPositiveData:
        if response.status_code == 400 and codes(response.json()) <= BEYOND_SCHEMAS:
            return None
        # The tool sends values of this header without the quotes that its pattern asks for; that is no valid data.
        sent = response.request.headers.get("If-Match")
        if sent is not None and not ENTITY_TAG.fullmatch(sent):
            return None
        # An entity tag that is well formed and not the current one.
        if sent is not None and response.status_code == 412:
            return None
        raise


def codes(problem):
    found = {each["code"] for each in problem["extra_fields"].get("errors", [])}
    return found or {problem["error"]["code"]}

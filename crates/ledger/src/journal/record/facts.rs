//! Who asked for what, and what a profile in shadow mode would have said to it.

use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{HoldFacts, Shadow};
use tollgate_domain::ids::{CopyId, ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::limits::{MeterId, MeterKind};
use tollgate_domain::{ErrorKind, Usd};

use super::super::codec::{Decoder, Encoder, Malformed};
use super::{CODE_BYTES, flag, when};

/// Longest name of a model that is kept, in bytes.
const MODEL_BYTES: u16 = 256;

pub(super) fn encode_facts(to: &mut Encoder<'_>, facts: &HoldFacts) {
    let set = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    to.uuid(facts.request.uuid());
    to.instant(facts.at);
    to.uuid(facts.key.uuid());
    to.u8(set(facts.user.is_some(), flag::USER)
        | set(facts.copy.is_some(), flag::COPY)
        | set(facts.profile.is_some(), flag::PROFILE)
        | set(facts.profile_version.is_some(), flag::VERSION)
        | set(facts.is_stream, flag::STREAM)
        | set(facts.is_bound, flag::BOUND));
    if let Some(user) = facts.user {
        to.uuid(user.uuid());
    }
    if let Some(copy) = facts.copy {
        to.uuid(copy.uuid());
    }
    if let Some(profile) = facts.profile {
        to.i64(profile.0);
    }
    if let Some(version) = facts.profile_version {
        to.i64(version);
    }
    to.text(facts.provider.as_str(), CODE_BYTES);
    to.text(&facts.model, MODEL_BYTES);
    to.text(facts.endpoint.as_str(), CODE_BYTES);
    to.i64(facts.reserved_cost.nanos());
    to.u64(facts.reserved_tokens);
}

pub(super) fn decode_facts(from: &mut Decoder<'_>) -> Result<HoldFacts, Malformed> {
    let request = RequestId::from_uuid(from.uuid()?);
    let at = from.instant()?;
    let key = VirtualKeyId::from_uuid(from.uuid()?);
    let flags = from.u8()?;
    let has = |flag: u8| flags & flag != 0;
    Ok(HoldFacts {
        request,
        at,
        key,
        user: when(has(flag::USER), || Ok(UserId::from_uuid(from.uuid()?)))?,
        copy: when(has(flag::COPY), || Ok(CopyId::from_uuid(from.uuid()?)))?,
        profile: when(has(flag::PROFILE), || Ok(ProfileId(from.i64()?)))?,
        profile_version: when(has(flag::VERSION), || from.i64())?,
        provider: from.text()?.parse().map_err(|_| Malformed)?,
        model: from.text()?.to_owned(),
        endpoint: Endpoint::parse(from.text()?).ok_or(Malformed)?,
        is_stream: has(flag::STREAM),
        is_bound: has(flag::BOUND),
        reserved_cost: Usd::from_nanos(from.i64()?),
        reserved_tokens: from.u64()?,
        shadow: None,
    })
}

/// The kind of a limit when there is none; kinds of limits start at 1.
const NO_LIMIT: u8 = 0;

pub(super) fn encode_shadow(to: &mut Encoder<'_>, shadow: Option<Shadow>) {
    let Some(Shadow { kind, limit }) = shadow else {
        return;
    };
    to.text(kind.code(), CODE_BYTES);
    to.u8(limit.map_or(NO_LIMIT, |limit| limit.kind.code()));
    if let Some(limit) = limit {
        to.uuid(limit.line);
    }
}

fn decode_shadow(from: &mut Decoder<'_>) -> Result<Shadow, Malformed> {
    let kind = ErrorKind::from_code(from.text()?).ok_or(Malformed)?;
    let limit = match from.u8()? {
        NO_LIMIT => None,
        code => Some(MeterId {
            kind: MeterKind::from_code(code).ok_or(Malformed)?,
            line: from.uuid()?,
        }),
    };
    Ok(Shadow { kind, limit })
}

pub(super) fn decode_shadowed_facts(
    from: &mut Decoder<'_>,
    has_shadow: bool,
) -> Result<HoldFacts, Malformed> {
    let facts = decode_facts(from)?;
    let shadow = when(has_shadow, || decode_shadow(from))?;
    Ok(HoldFacts { shadow, ..facts })
}

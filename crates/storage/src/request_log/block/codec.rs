//! Blocks as bytes.

use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{Outcome, Shadow};
use tollgate_domain::ids::{CopyId, ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::limits::{MeterId, MeterKind};
use tollgate_domain::usage::{ServiceTier, TokenUsage};
use tollgate_domain::{ErrorKind, Timestamp, Usd};

use super::wire::{COLUMN, Reader, Writer};
use super::{Block, Row, Sieve, Subject, Target};
use crate::error::Result;
use crate::request_log::LogFilter;
use crate::sql::corrupt;

/// Of the format, the first byte of every block: without and with what profiles in shadow mode would have refused.
const VERSION: u8 = 1;
const SHADOWED_VERSION: u8 = 2;
/// About what a request takes.
const USUAL_ROW_BYTES: usize = 72;

mod row_flag {
    pub(super) const STREAM: u8 = 1;
    pub(super) const BOUND: u8 = 1 << 1;
    pub(super) const FIRST_BYTE: u8 = 1 << 2;
    pub(super) const RESOLVED: u8 = 1 << 3;
    pub(super) const ERROR_CODE: u8 = 1 << 4;
    /// A tier that is not the standard one follows.
    pub(super) const TIER: u8 = 1 << 5;
    pub(super) const SHADOW: u8 = 1 << 6;
}

mod subject_flag {
    pub(super) const USER: u8 = 1;
    pub(super) const COPY: u8 = 1 << 1;
    pub(super) const PROFILE: u8 = 1 << 2;
    pub(super) const VERSION: u8 = 1 << 3;
}

const fn set(condition: bool, flag: u8) -> u8 {
    if condition { flag } else { 0 }
}

impl Block {
    /// The bytes that [`Self::decode`] reads, in the lowest version that can say it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = Writer(Vec::with_capacity(256 + self.rows.len() * USUAL_ROW_BYTES));
        let has_shadows = !self.shadows.is_empty();
        to.byte(if has_shadows {
            SHADOWED_VERSION
        } else {
            VERSION
        });
        to.count(self.subjects.len());
        for subject in &self.subjects {
            write_subject(&mut to, subject);
        }
        to.count(self.targets.len());
        for target in &self.targets {
            to.text(target.provider.as_str());
            to.text(&target.model);
            to.text(target.endpoint.as_str());
        }
        to.count(self.error_codes.len());
        for code in &self.error_codes {
            to.text(code);
        }
        if has_shadows {
            to.count(self.shadows.len());
            for shadow in &self.shadows {
                write_shadow(&mut to, *shadow);
            }
        }
        to.count(self.rows.len());
        let mut last = Timestamp::from_micros(0);
        for row in &self.rows {
            write_row(&mut to, row, last);
            last = row.at;
        }
        to.0
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(content: &[u8]) -> Result<Self> {
        let (mut block, mut from) = Self::decode_head(content)?;
        block.decode_rows(&mut from, None)?;
        Ok(block)
    }

    /// As [`Self::decode`], with those requests only that `filter` lets through. A block that has none is mostly told by
    /// its head.
    pub(crate) fn decode_for(content: &[u8], filter: &LogFilter) -> Result<Self> {
        let (mut block, mut from) = Self::decode_head(content)?;
        let sieve = Sieve::of(&block, filter);
        let lacks_shadows = filter.is_shadowed == Some(true) && block.shadows.is_empty();
        if !sieve.is_closed() && !lacks_shadows {
            block.decode_rows(&mut from, Some(&sieve))?;
        }
        Ok(block)
    }

    /// What the rows name; they are still to be read.
    fn decode_head(content: &[u8]) -> Result<(Self, Reader<'_>)> {
        let mut from = Reader(content);
        let version = from.byte()?;
        if !matches!(version, VERSION | SHADOWED_VERSION) {
            return Err(corrupt(
                COLUMN,
                format!("blocks of version {version} are of another release"),
            ));
        }
        let mut block = Self::default();
        for _ in 0..from.count()? {
            block.subjects.push(read_subject(&mut from)?);
        }
        for _ in 0..from.count()? {
            block.targets.push(read_target(&mut from)?);
        }
        for _ in 0..from.count()? {
            block.error_codes.push(from.text()?.to_owned());
        }
        if version == SHADOWED_VERSION {
            for _ in 0..from.count()? {
                block.shadows.push(read_shadow(&mut from)?);
            }
        }
        Ok((block, from))
    }

    /// Reads all rows, and keeps those that `sieve` lets through.
    fn decode_rows(&mut self, from: &mut Reader<'_>, sieve: Option<&Sieve<'_>>) -> Result<()> {
        let rows = from.count()?;
        if sieve.is_none() {
            self.rows.reserve_exact(rows);
        }
        let mut last = Timestamp::from_micros(0);
        for _ in 0..rows {
            let head = read_row_head(from, last)?;
            self.check(&head)?;
            last = head.at;
            if sieve.is_some_and(|sieve| !sieve.may_let_through(&head)) {
                skip_row_rest(from)?;
                continue;
            }
            let row = read_row_rest(from, &head)?;
            self.check_rest(&row)?;
            if sieve.is_none_or(|sieve| sieve.lets_through(&row)) {
                self.rows.push(row);
            }
        }
        from.end()
    }

    /// What a row names must be there.
    fn check(&self, row: &RowHead) -> Result<()> {
        named(row.subject < self.subjects.len() && row.target < self.targets.len())
    }

    fn check_rest(&self, row: &Row) -> Result<()> {
        let has_code = (row.error_code).is_none_or(|code| code < self.error_codes.len());
        let has_shadow = (row.shadow).is_none_or(|shadow| shadow < self.shadows.len());
        named(has_code && has_shadow)
    }
}

fn named(is_there: bool) -> Result<()> {
    if is_there {
        Ok(())
    } else {
        Err(corrupt(COLUMN, "a request names what is not there"))
    }
}

fn write_subject(to: &mut Writer, subject: &Subject) {
    to.uuid(subject.key.uuid());
    to.byte(
        set(subject.user.is_some(), subject_flag::USER)
            | set(subject.copy.is_some(), subject_flag::COPY)
            | set(subject.profile.is_some(), subject_flag::PROFILE)
            | set(subject.profile_version.is_some(), subject_flag::VERSION),
    );
    if let Some(user) = subject.user {
        to.uuid(user.uuid());
    }
    if let Some(copy) = subject.copy {
        to.uuid(copy.uuid());
    }
    if let Some(profile) = subject.profile {
        to.signed(profile.0);
    }
    if let Some(version) = subject.profile_version {
        to.signed(version);
    }
}

fn read_subject(from: &mut Reader<'_>) -> Result<Subject> {
    let key = VirtualKeyId::from_uuid(from.uuid()?);
    let flags = from.byte()?;
    let has = |flag| flags & flag != 0;
    Ok(Subject {
        key,
        user: if has(subject_flag::USER) {
            Some(UserId::from_uuid(from.uuid()?))
        } else {
            None
        },
        copy: if has(subject_flag::COPY) {
            Some(CopyId::from_uuid(from.uuid()?))
        } else {
            None
        },
        profile: if has(subject_flag::PROFILE) {
            Some(ProfileId(from.signed()?))
        } else {
            None
        },
        profile_version: if has(subject_flag::VERSION) {
            Some(from.signed()?)
        } else {
            None
        },
    })
}

fn read_target(from: &mut Reader<'_>) -> Result<Target> {
    Ok(Target {
        provider: from
            .text()?
            .parse()
            .map_err(|error| corrupt(COLUMN, error))?,
        model: from.text()?.to_owned(),
        endpoint: Endpoint::parse(from.text()?)
            .ok_or_else(|| corrupt(COLUMN, "unknown endpoint"))?,
    })
}

/// The kind of a limit when there is none; kinds of limits start at 1.
const NO_LIMIT: u8 = 0;

fn write_shadow(to: &mut Writer, Shadow { kind, limit }: Shadow) {
    to.text(kind.code());
    to.byte(limit.map_or(NO_LIMIT, |limit| limit.kind.code()));
    if let Some(limit) = limit {
        to.uuid(limit.line);
    }
}

fn read_shadow(from: &mut Reader<'_>) -> Result<Shadow> {
    let kind = ErrorKind::from_code(from.text()?)
        .ok_or_else(|| corrupt(COLUMN, "unknown code of a refusal"))?;
    let limit = match from.byte()? {
        NO_LIMIT => None,
        code => Some(MeterId {
            kind: MeterKind::from_code(code)
                .ok_or_else(|| corrupt(COLUMN, "unknown kind of limit"))?,
            line: from.uuid()?,
        }),
    };
    Ok(Shadow { kind, limit })
}

/// `last` is when the request before it in the block was admitted.
fn write_row(to: &mut Writer, row: &Row, last: Timestamp) {
    to.uuid(row.request.uuid());
    to.signed(since(last, row.at));
    to.count(row.subject);
    to.count(row.target);
    let tier = tier_code(row.usage.tier);
    to.byte(
        set(row.is_stream, row_flag::STREAM)
            | set(row.is_bound, row_flag::BOUND)
            | set(row.first_byte_micros.is_some(), row_flag::FIRST_BYTE)
            | set(row.resolved_at.is_some(), row_flag::RESOLVED)
            | set(row.error_code.is_some(), row_flag::ERROR_CODE)
            | set(tier != 0, row_flag::TIER)
            | set(row.shadow.is_some(), row_flag::SHADOW),
    );
    to.byte(row.outcome.code());
    to.unsigned(row.status.into());
    to.signed(since(row.at, row.ended_at));
    to.signed(row.reserved_cost.nanos());
    to.unsigned(row.reserved_tokens);
    to.signed(row.cost.nanos());
    to.unsigned(row.duration_micros);
    to.unsigned(row.attempts.into());
    if let Some(micros) = row.first_byte_micros {
        to.unsigned(micros);
    }
    if let Some(at) = row.resolved_at {
        to.signed(since(row.at, at));
    }
    if let Some(code) = row.error_code {
        to.count(code);
    }
    if let Some(shadow) = row.shadow {
        to.count(shadow);
    }
    if tier != 0 {
        to.byte(tier);
    }
    write_tokens(to, &row.usage);
}

/// What a row begins with, which most filters need no more of.
pub(super) struct RowHead {
    request: RequestId,
    pub(super) at: Timestamp,
    pub(super) subject: usize,
    pub(super) target: usize,
}

fn read_row_head(from: &mut Reader<'_>, last: Timestamp) -> Result<RowHead> {
    Ok(RowHead {
        request: RequestId::from_uuid(from.uuid()?),
        at: after(last, from.signed()?),
        subject: from.small()?,
        target: from.small()?,
    })
}

/// Goes past what [`read_row_rest`] reads.
fn skip_row_rest(from: &mut Reader<'_>) -> Result<()> {
    let flags = from.byte()?;
    let has = |flag| usize::from(flags & flag != 0);
    let _outcome = from.byte()?;
    let optional = has(row_flag::FIRST_BYTE)
        + has(row_flag::RESOLVED)
        + has(row_flag::ERROR_CODE)
        + has(row_flag::SHADOW);
    from.skip_numbers(7 + optional)?;
    if has(row_flag::TIER) > 0 {
        from.byte()?;
    }
    let kinds = from.byte()?;
    from.skip_numbers(kinds.count_ones() as usize)
}

fn read_row_rest(from: &mut Reader<'_>, head: &RowHead) -> Result<Row> {
    let at = head.at;
    let flags = from.byte()?;
    let has = |flag| flags & flag != 0;
    Ok(Row {
        request: head.request,
        at,
        subject: head.subject,
        target: head.target,
        is_stream: has(row_flag::STREAM),
        is_bound: has(row_flag::BOUND),
        outcome: Outcome::from_code(from.byte()?)
            .ok_or_else(|| corrupt(COLUMN, "unknown outcome"))?,
        status: from.small()?,
        ended_at: after(at, from.signed()?),
        reserved_cost: Usd::from_nanos(from.signed()?),
        reserved_tokens: from.unsigned()?,
        cost: Usd::from_nanos(from.signed()?),
        duration_micros: from.unsigned()?,
        attempts: from.small()?,
        first_byte_micros: if has(row_flag::FIRST_BYTE) {
            Some(from.unsigned()?)
        } else {
            None
        },
        resolved_at: if has(row_flag::RESOLVED) {
            Some(after(at, from.signed()?))
        } else {
            None
        },
        error_code: if has(row_flag::ERROR_CODE) {
            Some(from.small()?)
        } else {
            None
        },
        shadow: if has(row_flag::SHADOW) {
            Some(from.small()?)
        } else {
            None
        },
        usage: {
            let tier = if has(row_flag::TIER) { from.byte()? } else { 0 };
            read_tokens(from, tier)?
        },
    })
}

/// Most requests have two kinds of tokens, so a byte says which follow.
fn write_tokens(to: &mut Writer, usage: &TokenUsage) {
    let tokens = [
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.audio_input,
        usage.reasoning,
        usage.audio_output,
    ];
    let kinds = tokens.iter().zip(0..).fold(0, |kinds, (amount, place)| {
        kinds | set(*amount != 0, 1 << place)
    });
    to.byte(kinds);
    for amount in tokens.into_iter().filter(|amount| *amount != 0) {
        to.unsigned(amount);
    }
}

fn read_tokens(from: &mut Reader<'_>, tier: u8) -> Result<TokenUsage> {
    let kinds = from.byte()?;
    let mut tokens = [0; 8];
    for (place, amount) in tokens.iter_mut().enumerate() {
        if kinds & (1 << place) != 0 {
            *amount = from.unsigned()?;
        }
    }
    let [
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        audio_input,
        reasoning,
        audio_output,
    ] = tokens;
    Ok(TokenUsage {
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        audio_input,
        output,
        reasoning,
        audio_output,
        tier: tier_of(tier).ok_or_else(|| corrupt(COLUMN, "unknown tier"))?,
    })
}

const fn tier_code(tier: ServiceTier) -> u8 {
    match tier {
        ServiceTier::Standard => 0,
        ServiceTier::Flex => 1,
        ServiceTier::Priority => 2,
        ServiceTier::Batch => 3,
        ServiceTier::Fast => 4,
    }
}

fn tier_of(code: u8) -> Option<ServiceTier> {
    ServiceTier::ALL
        .into_iter()
        .find(|tier| tier_code(*tier) == code)
}

/// Wraps instead of saturating, so that even the ends of time come back.
const fn since(from: Timestamp, to: Timestamp) -> i64 {
    to.as_micros().wrapping_sub(from.as_micros())
}

const fn after(from: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(from.as_micros().wrapping_add(micros))
}

//! What a correction by hand says of itself.

use tollgate_domain::Usd;
use tollgate_domain::ids::{AuditEntryId, ProfileId, UserId};
use tollgate_domain::live::{CorrectionNote, Once};

use super::super::codec::{Decoder, Encoder, Malformed};
use super::{flag, when};

/// What a correction by hand says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) note: CorrectionNote,
    /// The amount before the correction.
    pub(crate) before: Usd,
}

pub(super) fn encode_note(to: &mut Encoder<'_>, noted: Option<&Noted>) {
    let Some(Noted { note, before }) = noted else {
        return;
    };
    to.uuid(note.id.uuid());
    to.text(&note.actor, CorrectionNote::ACTOR_BYTES);
    to.text(&note.reason, CorrectionNote::REASON_BYTES);
    let user = if note.user.is_some() { flag::USER } else { 0 };
    let profile = if note.profile.is_some() {
        flag::PROFILE
    } else {
        0
    };
    to.u8(user | profile);
    if let Some(user) = note.user {
        to.uuid(user.uuid());
    }
    if let Some(profile) = note.profile {
        to.i64(profile.0);
    }
    to.i64(before.nanos());
    if let Some(once) = &note.once {
        to.text(&once.key, Once::KEY_BYTES);
        to.bytes(&once.fingerprint);
    }
}

pub(super) fn decode_note(from: &mut Decoder<'_>, has_once: bool) -> Result<Noted, Malformed> {
    let id = AuditEntryId::from_uuid(from.uuid()?);
    let actor = from.text()?.to_owned();
    let reason = from.text()?.to_owned();
    let flags = from.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let user = when(has(flag::USER), || Ok(UserId::from_uuid(from.uuid()?)))?;
    let profile = when(has(flag::PROFILE), || Ok(ProfileId(from.i64()?)))?;
    let before = Usd::from_nanos(from.i64()?);
    let once = when(has_once, || {
        Ok(Once {
            key: from.text()?.to_owned(),
            fingerprint: from.take()?,
        })
    })?;
    Ok(Noted {
        note: CorrectionNote {
            id,
            actor,
            reason,
            profile,
            user,
            once,
        },
        before,
    })
}

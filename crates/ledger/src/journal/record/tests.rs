use tollgate_domain::ErrorKind;
use tollgate_domain::accounting::Shadow;
use tollgate_domain::ids::{AuditEntryId, ProfileId, UserId};
use tollgate_domain::limits::{MeterId, MeterKind};
use tollgate_domain::live::{CorrectionNote, Once};
use uuid::Uuid;

use super::*;

/// The instant, and no counters.
const OLD_ADJUST: [u8; 10] = [7, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn adjust(noted: Option<Noted>) -> Record {
    Record::Adjust {
        at: Timestamp::from_micros(7),
        changes: Vec::new(),
        noted,
    }
}

fn noted(user: Option<UserId>, profile: Option<ProfileId>) -> Noted {
    Noted {
        note: CorrectionNote {
            id: AuditEntryId::from_uuid(Uuid::from_u128(1)),
            actor: "mk_1".to_owned(),
            reason: "the invoice says «less»".to_owned(),
            profile,
            user,
            once: None,
        },
        before: Usd::from_nanos(5),
    }
}

fn read_back(record: &Record) -> Result<Record, Malformed> {
    let bytes = record.encode(0);
    Record::decode(bytes[2], bytes[3], &bytes[FRAME_BYTES..])
}

#[test]
fn corrections_without_a_note_are_those_of_the_first_version() {
    let bytes = adjust(None).encode(0);
    assert_eq!((bytes[3], &bytes[FRAME_BYTES..]), (1, &OLD_ADJUST[..]));
    assert_eq!(Record::decode(6, 1, &OLD_ADJUST), Ok(adjust(None)));
}

#[test]
fn notes_are_read_back() {
    let user = Some(UserId::from_uuid(Uuid::from_u128(2)));
    for noted in [noted(None, None), noted(user, Some(ProfileId(3)))] {
        let resolve = Record::Resolve {
            at: Timestamp::from_micros(7),
            request: RequestId::from_uuid(Uuid::from_u128(9)),
            amount: Usd::from_nanos(4),
            changes: Vec::new(),
            noted: Some(noted.clone()),
        };
        assert_eq!(read_back(&resolve), Ok(resolve));
        let plain = adjust(Some(noted.clone()));
        assert_eq!(plain.encode(0)[3], NOTED_VERSION);
        assert_eq!(read_back(&plain), Ok(plain));
        let mut once = noted;
        once.note.once = Some(Once {
            key: "«credit 1»".to_owned(),
            fingerprint: [9; 32],
        });
        let once = adjust(Some(once));
        assert_eq!(once.encode(0)[3], ONCE_VERSION);
        assert_eq!(read_back(&once), Ok(once));
    }
}

#[test]
fn resets_are_read_back() {
    let reset = Record::Reset {
        at: Timestamp::from_micros(7),
        id: ResetId::from_uuid(Uuid::from_u128(4)),
        changes: Vec::new(),
    };
    assert_eq!(reset.encode(0)[2..4], [11, VERSION]);
    assert_eq!(read_back(&reset), Ok(reset));
}

fn open(shadow: Option<Shadow>) -> Record {
    Record::Open {
        facts: HoldFacts {
            shadow,
            ..crate::tests::kit::facts(5, 90)
        },
        holds: Vec::new(),
    }
}

#[test]
fn holds_without_a_shadow_are_those_of_the_first_version() {
    let bytes = open(None).encode(0);
    assert_eq!(bytes[3], VERSION);
    assert_eq!(read_back(&open(None)), Ok(open(None)));
    // What the first version could not say stands between the facts and the counters.
    let shadow = Shadow {
        kind: ErrorKind::ModelBlocked,
        limit: None,
    };
    let with = open(Some(shadow)).encode(0);
    let facts = bytes.len() - FRAME_BYTES - 2;
    assert_eq!(with[FRAME_BYTES..][..facts], bytes[FRAME_BYTES..][..facts]);
    assert_eq!(with.len() - bytes.len(), 2 + "model_blocked".len() + 1);
}

#[test]
fn shadows_are_read_back() {
    let limit = MeterId {
        line: Uuid::from_u128(3),
        kind: MeterKind::Parallel,
    };
    for shadow in [
        Shadow::of_limit(limit, true),
        Shadow {
            kind: ErrorKind::PriceUnknown,
            limit: None,
        },
    ] {
        let opened = open(Some(shadow));
        assert_eq!(opened.encode(0)[3], SHADOWED_VERSION);
        assert_eq!(read_back(&opened), Ok(opened.clone()));
        let Record::Open { facts, holds } = opened else {
            unreachable!("it was made above");
        };
        let exchanged = Record::Exchange {
            facts,
            left: holds.clone(),
            holds,
        };
        assert_eq!(read_back(&exchanged), Ok(exchanged));
    }
}

#[test]
fn unknown_versions_are_not_guessed_at() {
    assert_eq!(Record::decode(1, 3, &[0; 64]), Err(Malformed));
    assert_eq!(Record::decode(5, 2, &[0; 64]), Err(Malformed));
    assert_eq!(Record::decode(6, 4, &OLD_ADJUST), Err(Malformed));
    assert_eq!(Record::decode(6, 0, &OLD_ADJUST), Err(Malformed));
    assert_eq!(Record::decode(9, 2, &[0; 24]), Err(Malformed));
}

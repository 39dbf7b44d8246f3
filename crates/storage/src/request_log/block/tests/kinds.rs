use proptest::option;
use proptest::prelude::*;

use super::*;

/// What a filter can name of a request.
type Named = (u128, Option<u128>, Option<i64>, String, String, usize, bool);

/// Few different things, so that requests share some, or so many that a block's kinds have no room for them.
fn named() -> impl Strategy<Value = Named> {
    let number = || prop_oneof![0..6_u64, any::<u64>()];
    (
        number().prop_map_into(),
        option::of(number().prop_map_into()),
        option::of(number().prop_map(u64::cast_signed)),
        number().prop_map(|number| format!("p{}", number % 700)),
        prop_oneof![".{0,3}", number().prop_map(|number| number.to_string())],
        0..Outcome::ALL.len(),
        any::<bool>(),
    )
}

fn entry_of(
    (key, user, profile, provider, model, outcome, is_shadowed): Named,
    number: u64,
) -> LogEntry {
    let mut entry = entry(if is_shadowed { 2 } else { 0 });
    let facts = &mut entry.facts;
    facts.request = RequestId::from_uuid(Uuid::from_u128(number.into()));
    facts.at = Timestamp::from_micros(number.cast_signed());
    facts.key = VirtualKeyId::from_uuid(Uuid::from_u128(key));
    facts.user = user.map(|user| UserId::from_uuid(Uuid::from_u128(user)));
    facts.profile = profile.map(ProfileId);
    facts.provider = provider.parse().unwrap();
    facts.model = model;
    entry.ending.outcome = Outcome::ALL[outcome];
    entry
}

/// A filter by any of what a request has, picked by the bits of `choice`.
fn filter_by(entry: &LogEntry, choice: u8) -> LogFilter {
    let asks = |bit: u8| choice & (1 << bit) != 0;
    let facts = &entry.facts;
    LogFilter {
        key: asks(0).then_some(facts.key),
        user: facts.user.filter(|_| asks(1)),
        profile: facts.profile.filter(|_| asks(2)),
        provider: asks(3).then(|| facts.provider.clone()),
        model: asks(4).then(|| facts.model.clone()),
        outcome: asks(5).then_some(entry.ending.outcome),
        is_shadowed: asks(6).then_some(facts.shadow.is_some()),
        ..LogFilter::default()
    }
}

fn block_of(entries: &[LogEntry]) -> Block {
    let mut filler = Filler::default();
    for entry in entries {
        filler.add(entry, None);
    }
    filler.into_block()
}

proptest! {
    #[test]
    fn kinds_never_hide_what_a_block_has(
        named in proptest::collection::vec(named(), 1..60),
        choice in any::<u8>(),
        forgotten in 0..60_i64,
    ) {
        let entries: Vec<_> = named.into_iter().zip(0..).map(|(named, number)| entry_of(named, number)).collect();
        let mut block = block_of(&entries);
        for _ in 0..2 {
            let kinds = block.kinds();
            for entry in block.requests().map(|logged| logged.entry) {
                let filter = filter_by(&entry, choice);
                prop_assert!(Block::decode_for(&block.encode(), &filter).unwrap().has(entry.facts.request));
                prop_assert!(Wanted::by(&filter).may_be_in(Some(&kinds)), "{filter:?}");
            }
            // The same of what is left of it, as it is read back.
            block.forget(Timestamp::from_micros(forgotten), u64::MAX);
            block = Block::decode(&block.encode()).unwrap();
        }
    }

    #[test]
    fn bytes_of_any_kind_are_no_panic(kinds in proptest::collection::vec(any::<u8>(), 0..20), choice in any::<u8>()) {
        Wanted::by(&filter_by(&entry(1), choice)).may_be_in(Some(&kinds));
    }
}

/// A full block: as many keys, users and models as there are numbers.
fn varied(keys: u64, models: u64) -> Block {
    let entries: Vec<_> = (0..512_u64)
        .map(|number| {
            let key = u128::from(number % keys);
            let model = format!("model-{}", number % models);
            entry_of(
                (
                    key,
                    Some(key),
                    Some(1),
                    "openai".to_owned(),
                    model,
                    0,
                    false,
                ),
                number,
            )
        })
        .collect();
    block_of(&entries)
}

/// How many of a thousand models that it has not a block may have.
fn mistaken_for(block: &Block) -> usize {
    let kinds = block.kinds();
    let may_have = |number: &i32| {
        let model = Some(format!("other-{number}"));
        Wanted::by(&LogFilter {
            model,
            ..LogFilter::default()
        })
        .may_be_in(Some(&kinds))
    };
    (0..1_000).filter(may_have).count()
}

#[test]
fn few_blocks_are_opened_in_vain() {
    for (block, most_bytes, most) in [
        (varied(1, 1), 12, 30),
        (varied(100, 8), 540, 30),
        (varied(300, 60), 850, 30),
        (varied(512, 8), 897, 80),
    ] {
        let (bytes, mistaken) = (block.kinds().len(), mistaken_for(&block));
        assert!(bytes <= most_bytes, "{bytes} bytes");
        assert!(mistaken <= most, "{mistaken} of 1000, with {bytes} bytes");
    }
}

#[test]
fn keys_and_models_are_known_together_while_there_is_room() {
    let of = |block: &Block, key: u128, model: &str| {
        let filter = LogFilter {
            key: Some(VirtualKeyId::from_uuid(Uuid::from_u128(key))),
            model: Some(model.to_owned()),
            ..LogFilter::default()
        };
        Wanted::by(&filter).may_be_in(Some(&block.kinds()))
    };
    let few = varied(8, 8);
    assert!(of(&few, 1, "model-1"));
    assert!(!of(&few, 1, "model-2"), "each is there, and not together");
    let many = varied(512, 8);
    assert!(of(&many, 1, "model-1") && of(&many, 1, "model-2"));
}

#[test]
fn kinds_of_a_block_are_stored_so_they_do_not_change() {
    let kinds = filled(0..3).kinds();
    let hex: Vec<String> = kinds.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex.concat(),
        "02004833ccd0a439012c40258089a501ba04419477990003"
    );
}

#[test]
fn blocks_whose_kinds_say_nothing_are_opened() {
    let none = Block::default().kinds();
    let wanted = Wanted::by(&filter_by(&entry(1), u8::MAX));
    for (kinds, may_be) in [
        (None, true),
        (Some(&[][..]), true),
        (Some(&[3, 0, 0]), true),
        (Some(&[2, 0, 0]), false),
        (Some(&[1, 0, 0]), false),
        (Some(&none), true),
    ] {
        assert_eq!(wanted.may_be_in(kinds), may_be, "{kinds:?}");
        assert!(Wanted::by(&LogFilter::default()).may_be_in(kinds));
    }
    assert!(Wanted::by(&LogFilter::default()).is_anything());
}

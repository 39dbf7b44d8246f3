use tollgate_domain::ErrorKind;
use tollgate_domain::snapshot::{KeyHolder, VirtualKey};
use tollgate_testkit::entities::{key, key_hash, key_text, user};

use super::kit::*;
use crate::Credentials;

#[derive(Clone, Copy)]
enum Place {
    Authorization,
    Shared,
    Own,
}
use Place::{Authorization, Own, Shared};

/// `Ok` for ada's key, or the kind of the refusal.
fn check(values: &[(Place, &str)], expect: Result<(), ErrorKind>) {
    let test = TestGate::new(world(limited("starter", [])));
    let mut credentials = Credentials::default();
    for (place, value) in values {
        match place {
            Authorization => credentials.authorization(value.as_bytes()),
            Shared => credentials.shared(value.as_bytes()),
            Own => credentials.own(value.as_bytes()),
        }
    }
    let result = test.gate.authenticate(&credentials);
    let shown: Vec<_> = values.iter().map(|(_, value)| value).collect();
    match (result, expect) {
        (Ok(caller), Ok(())) => assert_eq!(caller.user, Some(user("ada").id)),
        (Err(error), Err(kind)) => assert_eq!(error.kind, kind, "{shown:?}"),
        (result, expect) => panic!("{shown:?}: {result:?} instead of {expect:?}"),
    }
}

#[test]
fn only_values_with_our_prefix_count_outside_our_headers() {
    let ada = &*key_text("ada");
    let bearer = &*format!("Bearer {ada}");
    let required = Err(ErrorKind::VirtualKeyRequired);
    check(&[], required);
    check(&[(Authorization, bearer)], Ok(()));
    check(&[(Authorization, &format!("bEARER  {ada} "))], Ok(()));
    check(&[(Shared, ada)], Ok(()));
    check(&[(Own, ada)], Ok(()));
    check(&[(Authorization, "Bearer sk-dummy"), (Shared, ada)], Ok(()));
    check(
        &[(Authorization, bearer), (Shared, ada), (Own, ada)],
        Ok(()),
    );
    check(&[(Authorization, "Bearer sk-dummy")], required);
    check(&[(Authorization, "Basic c2stdGctMQ==")], required);
    check(&[(Own, "")], required);
}

#[test]
fn two_keys_and_management_keys_are_refused() {
    let ada = &*key_text("ada");
    let required = Err(ErrorKind::VirtualKeyRequired);
    check(&[(Shared, ada), (Own, &key_text("bob"))], required);
    check(&[(Shared, ada), (Own, "anything")], required);
    check(
        &[(Authorization, "Bearer tgm-secret"), (Own, ada)],
        required,
    );
    check(&[(Own, "tgm-secret")], required);
}

#[test]
fn what_opens_nothing_is_not_found() {
    check(
        &[(Shared, "sk-tg-unknown")],
        Err(ErrorKind::VirtualKeyNotFound),
    );
    check(&[(Own, "anything")], Err(ErrorKind::VirtualKeyNotFound));
}

#[test]
fn a_rotated_secret_works_during_its_grace_and_no_attempt_longer() {
    let test = TestGate::new(world(limited("starter", [])));
    let caller = test.caller();
    let mut snapshot = (*test.gate.snapshot()).clone();
    let until = tollgate_domain::Clock::now(&*test.clock).saturating_add_micros(60_000_000);
    let old = key("ada", KeyHolder::User(user("ada").id));
    snapshot.put_key(VirtualKey {
        secrets: vec![
            (key_hash(&key_text("ada")), Some(until)),
            (key_hash("sk-tg-new"), None),
        ],
        ..old
    });
    test.gate.publish(snapshot);
    test.authenticate("ada").unwrap();
    test.clock.set(until);
    let kind = test.authenticate("ada").unwrap_err().kind;
    assert_eq!(kind, ErrorKind::VirtualKeyNotFound);
    // Authenticated before, and still no way in.
    let id = test.gate.new_request_id();
    let admitted = test
        .gate
        .admit(&caller, id, &request("mock/small", 1), false);
    assert_eq!(admitted.unwrap_err().kind, ErrorKind::VirtualKeyNotFound);
    assert_eq!(
        test.metric("tollgate_refusals_total{code=\"virtual_key_not_found\"}"),
        2
    );
}

#[test]
fn nothing_shows_a_secret() {
    let test = TestGate::new(world(limited("starter", [])));
    let error = {
        let mut credentials = Credentials::default();
        credentials.own(b"sk-tg-verysecret");
        test.gate.authenticate(&credentials).unwrap_err()
    };
    assert!(!format!("{error} {error:?}").contains("verysecret"));
}

//! Looking into JSON bytes without parsing them into values.
//!
//! These scans rely on one fact: inside a JSON string every `"` is written `\"`, so text that a person or a model wrote
//! can never look like a key of the document around it.

use std::ops::Range;

use memchr::memmem::Finder;
use memchr::{memchr2, memchr2_iter, memchr3};
use smallvec::SmallVec;

/// What stands between names and values is shorter than this: a plain loop finds its end before a vector search has begun.
const NEAR: usize = 4;

/// The index of the quote that ends the string whose first byte after the opening quote is `from`.
pub(crate) fn string_end(json: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let found = at + memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[found] == b'"' {
            return Some(found);
        }
        at = found + 2;
    }
}

/// Whether arrays and objects nest deeper than `limit`. Runs before the parser, which therefore needs no guard of its
/// own; says nothing about whether the text is JSON at all.
pub(crate) fn is_deeper_than(json: &[u8], limit: usize) -> bool {
    // Most bodies do not even have so many brackets.
    if memchr2_iter(b'{', b'[', json).nth(limit).is_none() {
        return false;
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => match string_end(json, at + 1) {
                Some(end) => at = end,
                None => return false,
            },
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    false
}

/// Where `part`, a slice of `whole`, lies in it.
pub(crate) fn span_of(whole: &str, part: &str) -> Range<usize> {
    let start = part
        .as_ptr()
        .addr()
        .saturating_sub(whole.as_ptr().addr())
        .min(whole.len());
    start..(start + part.len()).min(whole.len())
}

/// Most members of the name that are looked at, so that a document full of them costs no more than its length.
const MAX_CANDIDATES: usize = 16;

/// The bytes from the value of the last member of the outermost object that has this name. `name` finds it with its
/// quotes. The value may be followed by other members.
///
/// A member of an inner object never matches, even when a model was talked into writing one (tool arguments may be
/// objects), and neither does anything in a document that was cut off.
pub(crate) fn outermost_member<'a>(json: &'a [u8], name: &Finder<'_>) -> Option<&'a [u8]> {
    let values: SmallVec<[(usize, usize); 4]> = name
        .find_iter(json)
        .filter_map(|found| Some((found, value_after(json, found + name.needle().len())?)))
        .collect();
    values
        .into_iter()
        .rev()
        .take(MAX_CANDIDATES)
        .find(|(found, value)| closes_once(&json[*value..]) && opens_once(&json[..*found]))
        .map(|(_, value)| &json[value..])
}

/// As [`outermost_member`] for several names, each with its quotes, in one pass over the whole text; nothing is found in
/// what is not one object.
pub(crate) fn outermost_members<'a, const N: usize>(
    json: &'a [u8],
    names: [&[u8]; N],
) -> [Option<&'a [u8]>; N] {
    let mut values = [None; N];
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some((found, byte)) = next_brace_or_quote(json, at) {
        at = found + 1;
        match byte {
            b'{' => depth += 1,
            b'}' if depth > 1 => depth -= 1,
            b'}' => {
                let is_all = depth == 1 && skip_whitespace(json, at) == json.len();
                return if is_all { values } else { [None; N] };
            }
            _ => {
                let Some(end) = string_end(json, at) else {
                    break;
                };
                at = end + 1;
                if depth == 1
                    && let Some(index) = names.iter().position(|name| *name == &json[found..at])
                    && let Some(value) = value_after(json, at)
                {
                    values[index] = Some(&json[value..]);
                }
            }
        }
    }
    [None; N]
}

/// Where the value starts whose member name ends at `at`; `None` when no colon follows, so that it is no name.
pub(crate) fn value_after(json: &[u8], at: usize) -> Option<usize> {
    let colon = skip_whitespace(json, at);
    (json.get(colon) == Some(&b':')).then(|| skip_whitespace(json, colon + 1))
}

/// Whether exactly one object is open at the end of `start`. Arrays need no count: a member is never directly in one.
fn opens_once(start: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some((found, byte)) = next_brace_or_quote(start, at) {
        at = found + 1;
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => match string_end(start, at) {
                Some(end) => at = end + 1,
                None => return false,
            },
        }
    }
    depth == 1
}

/// Whether `rest`, which starts inside an object, closes that object, and nothing follows.
fn closes_once(rest: &[u8]) -> bool {
    let mut depth = 1_usize;
    let mut at = 0;
    while let Some((found, byte)) = next_brace_or_quote(rest, at) {
        at = found + 1;
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return skip_whitespace(rest, at) == rest.len();
                }
            }
            _ => match string_end(rest, at) {
                Some(end) => at = end + 1,
                None => return false,
            },
        }
    }
    false
}

fn next_brace_or_quote(json: &[u8], from: usize) -> Option<(usize, u8)> {
    let rest = json.get(from..)?;
    for (offset, byte) in rest.iter().take(NEAR).enumerate() {
        if matches!(byte, b'"' | b'{' | b'}') {
            return Some((from + offset, *byte));
        }
    }
    let far = from + NEAR;
    let found = far + memchr3(b'"', b'{', b'}', json.get(far..)?)?;
    Some((found, json[found]))
}

/// The index of the first byte from `at` on that is no JSON white space.
pub(crate) fn skip_whitespace(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_of_every_length_end_at_their_quote() {
        for length in 0..48 {
            let text = "x".repeat(length);
            let end = |rest: &str| string_end(format!("{text}{rest}").as_bytes(), 0);
            assert_eq!(end(r#"" ""#), Some(length));
            assert_eq!(end(r#"\"" "#), Some(length + 2));
            assert_eq!(end(r#"\\" "#), Some(length + 2));
            assert_eq!(end(""), None);
            assert_eq!(end(r"\"), None);
            assert_eq!(end(r#"\""#), None);
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(!is_deeper_than(br#"{"a":[1,"[[[[","\"[["]}"#, 2));
        assert!(is_deeper_than(br#"{"a":[[]]}"#, 2));
        assert!(!is_deeper_than(br"[[],[],[]]", 2));
        assert!(!is_deeper_than(br#""[[[["#, 0));
        assert!(is_deeper_than("[".repeat(10_000_000).as_bytes(), 128));
    }

    #[test]
    fn members_of_inner_objects_do_not_count() {
        let found = |json: &'static str| {
            outermost_member(json.as_bytes(), &Finder::new("\"usage\""))
                .map(|rest| std::str::from_utf8(rest).unwrap())
        };
        assert_eq!(found(r#"{"usage":{"a":1}}"#), Some(r#"{"a":1}}"#));
        assert_eq!(
            found(r#"{"usage" : {"a":1}, "t":"}"}"#),
            Some(r#"{"a":1}, "t":"}"}"#)
        );
        assert_eq!(
            found(r#"{"usage":1,"content":[{"input":{"usage":2}}]} "#),
            Some(r#"1,"content":[{"input":{"usage":2}}]} "#)
        );
        assert_eq!(found(r#"{"content":"\"usage\":5"}"#), None);
        assert_eq!(found(r#"{"a":"usage"}"#), None);
        assert_eq!(found(r#"{"x":{"usage":2}}"#), None);
        assert_eq!(found(r#"{"usage":"#), None);
        assert_eq!(found(r#"{"a":[{"usage":2}"#), None);
        assert_eq!(found(r#"{"a":[{}],"usage":2}"#), Some("2}"));
    }

    #[test]
    fn several_members_are_found_in_one_pass() {
        let found = |json: &'static str| {
            outermost_members(json.as_bytes(), [b"\"a\"".as_slice(), b"\"b\""])
                .map(|rest| rest.map(|rest| std::str::from_utf8(rest).unwrap()))
        };
        assert_eq!(
            found(r#"{"a":1,"b" : 2} "#),
            [Some(r#"1,"b" : 2} "#), Some("2} ")]
        );
        assert_eq!(
            found(r#"{"x":{"a":1},"y":"a","a":2,"a":3}"#),
            [Some("3}"), None]
        );
        for broken in [
            r#"{"a":1"#,
            r#"{"a":1}}"#,
            r#"{"a":1} x"#,
            r#"}{"a":1}"#,
            r#"{"a":1,""#,
            "",
        ] {
            assert_eq!(found(broken), [None, None], "{broken}");
        }
    }

    proptest! {
        #[test]
        fn one_pass_finds_what_a_search_finds(
            json in r#"[{}"ab:, \\\[\]1]{0,60}"#,
            cut in 0_usize..8,
        ) {
            let json = format!(r#"{{"long enough to be far":"{}",{json}"#, "y".repeat(cut * 5));
            for name in ["\"a\"", "\"b\""] {
                // What is no object at all is found by neither; a brace before the first object only fools the search.
                let one = outermost_members(json.as_bytes(), [name.as_bytes()])[0];
                if let Some(value) = one {
                    let searched = outermost_member(json.as_bytes(), &Finder::new(name));
                    prop_assert_eq!(searched, Some(value));
                }
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = is_deeper_than(&bytes, 3);
            let _ = outermost_members(&bytes, [b"\"usage\"".as_slice()]);
            let _ = outermost_member(&bytes, &Finder::new("\"usage\""));
        }

        #[test]
        fn no_near_json_panics(text in r#"[\[\]{}":,\\ usage]{0,60}"#) {
            let _ = is_deeper_than(text.as_bytes(), 3);
            let _ = outermost_member(text.as_bytes(), &Finder::new("\"usage\""));
        }
    }
}

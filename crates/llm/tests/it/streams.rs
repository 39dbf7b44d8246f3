//! Recorded streams of real providers: what the client gets when, and what is learnt.

use std::fmt::Write;

use bytes::Bytes;
use proptest::prelude::*;
use tollgate_llm::stream::{MAX_EVENT_BYTES, StreamEnd, StreamMeter, StreamSummary};
use tollgate_llm::tokens;
use tollgate_llm::usage::UsageFormat;

use crate::golden::{FORMATS, fixtures, folder};

/// What came out of a meter, put together.
#[derive(Debug, PartialEq)]
struct Metered {
    now: Vec<u8>,
    after_settlement: Vec<u8>,
    summary: StreamSummary,
}

impl Metered {
    fn client_sees(&self) -> Vec<u8> {
        [&self.now[..], &self.after_settlement[..]].concat()
    }
}

fn meter<'a>(
    format: UsageFormat,
    hides_usage: bool,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Metered {
    let mut meter = StreamMeter::new(format, hides_usage);
    let (mut now, mut after_settlement) = (Vec::new(), Vec::new());
    let mut steps: Vec<_> = chunks
        .into_iter()
        .map(|chunk| meter.push(&Bytes::copy_from_slice(chunk)))
        .collect();
    steps.push(meter.finish());
    for step in steps {
        assert!(
            step.now.is_empty() || after_settlement.is_empty(),
            "bytes overtook the terminal event"
        );
        step.now
            .iter()
            .for_each(|bytes| now.extend_from_slice(bytes));
        for bytes in &step.after_settlement {
            after_settlement.extend_from_slice(bytes);
        }
    }
    Metered {
        now,
        after_settlement,
        summary: meter.summary(),
    }
}

fn all_streams() -> Vec<(String, UsageFormat, Vec<u8>)> {
    FORMATS
        .into_iter()
        .flat_map(|(name, format)| {
            fixtures(&folder("streams", name), "sse")
                .into_iter()
                .map(move |(case, stream)| (format!("{name}/{case}"), format, stream))
        })
        .collect()
}

/// The same stream with other line ends, and with a byte order mark.
fn variants(stream: &[u8]) -> Vec<Vec<u8>> {
    let text = std::str::from_utf8(stream).unwrap();
    vec![
        stream.to_vec(),
        text.replace('\n', "\r\n").into_bytes(),
        text.replace('\n', "\r").into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
    ]
}

#[test]
fn recorded_streams() {
    for (name, format) in FORMATS {
        let folder = folder("streams", name);
        for (case, stream) in fixtures(&folder, "sse") {
            let metered = meter(format, true, [&stream[..]]);
            let mut told = String::new();
            writeln!(told, "{:#?}", metered.summary).unwrap();
            writeln!(told, "--- at once").unwrap();
            told.push_str(std::str::from_utf8(&metered.now).unwrap());
            writeln!(told, "--- after settlement").unwrap();
            told.push_str(std::str::from_utf8(&metered.after_settlement).unwrap());
            insta::with_settings!({snapshot_path => &folder, prepend_module_to_snapshot => false, omit_expression => true}, {
                insta::assert_snapshot!(case, told);
            });
        }
    }
}

#[test]
fn cuts_at_every_byte_change_nothing() {
    for (case, format, stream) in all_streams() {
        for (index, stream) in variants(&stream).iter().enumerate() {
            let shown = meter(format, false, [&stream[..]]);
            assert_eq!(shown.client_sees(), *stream, "{case}");
            // Hiding is the harder way; without it, one kind of line end is enough.
            let ways: &[bool] = if index == 0 { &[true, false] } else { &[true] };
            for hides_usage in ways {
                let whole = meter(format, *hides_usage, [&stream[..]]);
                for cut in 0..=stream.len() {
                    let (start, end) = stream.split_at(cut);
                    assert_eq!(
                        meter(format, *hides_usage, [start, end]),
                        whole,
                        "{case} at {cut}"
                    );
                }
                let bytes = meter(format, *hides_usage, stream.chunks(1));
                assert_eq!(bytes, whole, "{case} byte by byte");
            }
        }
    }
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing_that_is_learnt() {
    for (case, format, stream) in all_streams() {
        let summaries: Vec<_> = variants(&stream)
            .iter()
            .map(|stream| meter(format, true, [&stream[..]]).summary)
            .collect();
        for summary in &summaries[1..] {
            assert_eq!(*summary, summaries[0], "{case}");
        }
    }
}

#[test]
fn what_is_charged_covers_what_was_delivered() {
    let charged = |format, stream: &str| {
        let summary = meter(format, true, [stream.as_bytes()]).summary;
        let counted = tokens::counted(400, summary.text_bytes, 4_000);
        let (usage, is_reported) = summary.charged(counted);
        (usage.total_input(), usage.total_output(), is_reported)
    };
    let text = r#"data: {"choices":[{"delta":{"content":"twelve bytes"}}]}"#;
    let usage = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let finish = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let start =
        r#"data: {"message":{"stop_reason":null,"usage":{"input_tokens":9,"output_tokens":1}}}"#;
    let delta = r#"data: {"delta":{"text":"twelve bytes"}}"#;
    let (openai, anthropic) = (UsageFormat::OpenAi, UsageFormat::Anthropic);
    assert_eq!(charged(openai, &format!("{text}\n\n")), (100, 3, false));
    assert_eq!(
        charged(openai, &format!("{text}\n\n{usage}\n\n")),
        (7, 3, false)
    );
    assert_eq!(
        charged(openai, &format!("{text}\n\n{finish}\n\n{usage}\n\n")),
        (7, 2, true)
    );
    assert_eq!(
        charged(openai, &format!("{text}\n\n{usage}\n\ndata: [DONE]\n\n")),
        (7, 2, true)
    );
    assert_eq!(
        charged(anthropic, &format!("{start}\n\n{delta}\n\n")),
        (9, 3, false)
    );
    // Cut off behind a report that covers what came.
    let plenty = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":50}}"#;
    assert_eq!(
        charged(openai, &format!("{text}\n\n{plenty}\n\n")),
        (7, 50, true)
    );
    assert_eq!(charged(openai, ""), (100, 0, false));
}

/// A report covers what was written before it. What follows it, and reports that cannot be true, make nothing free.
#[test]
fn reports_that_lie_make_nothing_free() {
    let charged = |events: &[&str]| {
        let stream = format!("data: {}\n\n", events.join("\n\ndata: "));
        let summary = meter(UsageFormat::OpenAi, true, [stream.as_bytes()]).summary;
        let (usage, is_reported) = summary.charged(tokens::counted(400, summary.text_bytes, 4_000));
        (usage.total_input(), usage.total_output(), is_reported)
    };
    let text = r#"{"choices":[{"delta":{"content":"twelve bytes"}}]}"#;
    let finish = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let good = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":50}}"#;
    let early = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":0}}"#;
    // Early, and nothing after the text.
    assert_eq!(charged(&[early, text, finish, "[DONE]"]), (7, 3, false));
    assert_eq!(charged(&[text, early, text, finish]), (7, 6, false));
    // Cumulative: with each piece of text, or behind it.
    let with_text = r#"{"choices":[{"delta":{"content":"twelve bytes"}}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    assert_eq!(charged(&[with_text, "[DONE]"]), (7, 2, true));
    assert_eq!(charged(&[good, text, early, good, "[DONE]"]), (7, 50, true));
    for lie in [
        r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":-5}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1e300,"completion_tokens":5}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":18446744073709551616}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":"7","completion_tokens":"50"}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#,
        r#"{"choices":[],"usage":{}}"#,
        r#"{"choices":[],"usage":[]}"#,
        r#"{"choices":[],"usage":"50"}"#,
        r#"{"choices":[],"usage":null}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":7"#,
    ] {
        assert_eq!(
            charged(&[text, good, lie, "[DONE]"]),
            (7, 50, true),
            "takes a good report back: {lie}"
        );
        assert_eq!(
            charged(&[text, lie, finish, "[DONE]"]),
            (100, 3, false),
            "alone: {lie}"
        );
        assert_eq!(
            charged(&[early, text, lie, "[DONE]"]),
            (7, 3, false),
            "after one of the start: {lie}"
        );
    }
}

/// One count that cannot be true does not hide what the model wrote behind an earlier report.
#[test]
fn an_impossible_last_count_leaves_our_own() {
    let start = r#"data: {"message":{"usage":{"input_tokens":9,"output_tokens":1}}}"#;
    let delta = r#"data: {"delta":{"text":"twelve bytes"}}"#;
    let last = r#"data: {"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":-40}}"#;
    let stop = "event: message_stop\ndata: {}";
    let stream = [start, delta, last, stop, ""].join("\n\n");
    let summary = meter(UsageFormat::Anthropic, true, [stream.as_bytes()]).summary;
    let (usage, is_reported) = summary.charged(tokens::counted(400, summary.text_bytes, 4_000));
    assert_eq!(
        (usage.total_input(), usage.total_output(), is_reported),
        (9, 3, false)
    );
}

/// What a chunk holds whole is passed on as a part of that very chunk.
#[test]
fn whole_events_are_not_copied() {
    let chunk = Bytes::from_static(b"data: {\"choices\":[]}\n\ndata: {\"choices\":[]}\n\n");
    let mut meter = StreamMeter::new(UsageFormat::OpenAi, true);
    let step = meter.push(&chunk);
    assert_eq!(step.now.len(), 1);
    assert_eq!(step.now[0].as_ptr(), chunk.as_ptr());
    assert_eq!(step.now[0], chunk);
}

#[test]
fn half_an_event_waits_for_its_other_half_and_comes_at_the_end() {
    let mut meter = StreamMeter::new(UsageFormat::OpenAi, true);
    assert!(
        meter
            .push(&Bytes::from_static(b"data: {\"cho"))
            .now
            .is_empty()
    );
    let step = meter.finish();
    assert_eq!(step.now[0], b"data: {\"cho"[..]);
    assert_eq!(meter.summary().end, None);
}

#[test]
fn an_event_that_is_too_large_passes_unread() {
    let mut meter = StreamMeter::new(UsageFormat::OpenAi, true);
    let piece = Bytes::from(vec![b'x'; MAX_EVENT_BYTES / 4]);
    let mut passed = 0;
    for _ in 0..12 {
        passed += meter.push(&piece).now.iter().map(Bytes::len).sum::<usize>();
    }
    assert_eq!(passed, 3 * MAX_EVENT_BYTES, "nothing of it is kept");
    assert!(meter.summary().text_bytes >= 3 * MAX_EVENT_BYTES as u64);
    let step = meter.push(&Bytes::from_static(b"\n\ndata: [DONE]\n\n"));
    assert_eq!(step.now[0], b"\n\n"[..]);
    assert_eq!(step.after_settlement[0], b"data: [DONE]\n\n"[..]);
    assert_eq!(meter.summary().end, Some(StreamEnd::Done));
    // Unread, all of it may have been text.
    assert_eq!(meter.summary().text_bytes, 3 * MAX_EVENT_BYTES as u64 + 2);
}

#[test]
fn what_follows_the_end_waits_too() {
    let stream = b"data: [DONE]\n\n: bye\n\ndata: {\"choices\":[]}\n\n";
    let metered = meter(UsageFormat::OpenAi, true, stream.chunks(5));
    assert!(metered.now.is_empty());
    assert_eq!(metered.after_settlement, stream);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_none_are_lost(
        chunks in proptest::collection::vec("[a-d:\r\n \\[\\]{}\",usage]{0,12}", 0..12),
    ) {
        let metered = meter(
            UsageFormat::OpenAi,
            false,
            chunks.iter().map(String::as_bytes),
        );
        prop_assert_eq!(metered.client_sees(), chunks.concat().into_bytes());
    }

    #[test]
    fn chunks_of_any_size_give_the_same(cuts in proptest::collection::vec(1_usize..400, 1..40)) {
        for (_, format, stream) in all_streams() {
            let whole = meter(format, true, [&stream[..]]);
            let mut rest = &stream[..];
            let mut chunks = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(meter(format, true, chunks), whole);
        }
    }
}

//! Recorded streams of real providers: what the client gets when, and what is learnt.

use std::fmt::Write;

use bytes::Bytes;
use proptest::prelude::*;
use tollgate_llm::stream::{MAX_EVENT_BYTES, Step, StreamEnd, StreamMeter, StreamSummary};
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
    let mut chunks = chunks.into_iter().map(Bytes::copy_from_slice);
    let mut is_over = false;
    while !is_over {
        let chunk = chunks.next();
        is_over = chunk.is_none();
        let step = match chunk {
            Some(chunk) => meter.push(&chunk),
            None => meter.finish(),
        };
        if !after_settlement.is_empty() {
            assert_eq!(step, Step::default(), "behind the end");
        }
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
            let behind_the_end = stream.strip_prefix(&shown.client_sees()[..]).unwrap();
            // What OpenAI sends behind an error as well.
            let is_done = behind_the_end.trim_ascii() == b"data: [DONE]";
            assert!(behind_the_end.is_empty() || is_done, "{case}");
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

/// What a client gets must not depend on how packets are cut, so what came along with the end is as late as the rest.
#[test]
fn what_follows_the_end_is_neither_read_nor_passed_on() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"twelve bytes\"}}]}\n\n";
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":0}}\n\n";
    for last in [
        "data: [DONE]\n\n",
        "data: {\"error\":{\"code\":500}}\n\n",
        "event: response.completed\ndata: {}\r\n\r\n",
    ] {
        let stream = [text, last, usage, text].concat();
        for size in [1, 5, stream.len()] {
            let metered = meter(UsageFormat::OpenAi, false, stream.as_bytes().chunks(size));
            assert_eq!(metered.now, text.as_bytes());
            assert_eq!(metered.after_settlement, last.as_bytes());
            assert_eq!(metered.summary.usage, None);
            assert_eq!(metered.summary.text_bytes, 12);
        }
    }
}

/// An event that ends the stream is passed on, whatever else it says: it is waited for.
#[test]
fn usage_that_tells_of_an_error_is_not_taken_out() {
    let last = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2},\"error\":{\"code\":500}}\n\n";
    let metered = meter(UsageFormat::OpenAi, true, [last.as_bytes()]);
    assert_eq!(metered.after_settlement, last.as_bytes());
    assert_eq!(metered.summary.end, Some(StreamEnd::Error));
    assert!(metered.summary.usage.is_some());
}

/// Whether an event is read depends on its size alone, not on how much of it came at once.
#[test]
fn the_largest_event_that_is_read_is_the_same_however_it_is_cut() {
    for line_end in ["\n", "\r\n", "\r"] {
        let head = "data: {\"choices\":[{\"delta\":{\"content\":\"";
        let tail = format!("\"}}}}]}}{line_end}{}", &line_end[..1]);
        for beyond in [0, 1] {
            let fill = MAX_EVENT_BYTES - head.len() - tail.len() + beyond;
            let after = &line_end[1..];
            let stream = format!("{head}{}{tail}{after}data: [DONE]\n\n", "x".repeat(fill));
            let size = head.len() + fill + tail.len();
            let whole = meter(UsageFormat::OpenAi, true, [stream.as_bytes()]);
            let text = if beyond == 0 { fill } else { size };
            assert_eq!(whole.summary.text_bytes, text as u64);
            assert_eq!(whole.summary.end, Some(StreamEnd::Done));
            let cuts = [1, 1 << 19].into_iter().chain(size - 6..size + 3);
            for cut in cuts {
                let (start, end) = stream.as_bytes().split_at(cut);
                assert_eq!(
                    meter(UsageFormat::OpenAi, true, [start, end]),
                    whole,
                    "{line_end:?} {beyond} {cut}"
                );
            }
        }
    }
}

/// A piece of a stream: what providers send, what they should not, and what nobody does.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "data: {\"choices\":[{\"delta\":{\"content\":\"twelve bytes\"}}]}",
        "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":-2}}",
        "data: {\"choices\":[],\"usage\":null}",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7},\"error\":{\"code\":5}}",
        "data: {\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}",
        "data: {\"delta\":{\"text\":\"twelve bytes\"}}",
        "data: {\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":40}}",
        "data: {\"candidates\":[{\"text\":\"abc\"}],\"usageMetadata\":{\"promptTokenCount\":3}}",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}",
        "event: message_stop\ndata: {}",
        "event: error\ndata: {}",
        "data: {\"error\":{\"code\":500}}",
        "data: [DONE]",
        "\u{feff}: a comment",
        "data: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":5}}",
        "",
    ]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        1 => "[\r\n]{1,4}",
        1 => "[a-d: \\[\\]{}\",usage]{0,12}",
    ]
}

/// A stream of such pieces, with line ends of all kinds.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line_end = || prop::sample::select(vec!["\n", "\r\n", "\r"]);
    let event = (piece(), line_end(), line_end(), prop::bool::weighted(0.9)).prop_map(
        |(piece, inner, outer, is_whole)| {
            let blank = if is_whole { outer } else { "" };
            piece.replace('\n', inner) + inner + blank
        },
    );
    prop::collection::vec(event, 0..10).prop_map(|events| events.concat().into_bytes())
}

fn cut<'a>(stream: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places
        .iter()
        .map(|place| place.index(stream.len() + 1))
        .chain([0, stream.len()])
        .collect();
    places.sort_unstable();
    places
        .windows(2)
        .map(|ends| &stream[ends[0]..ends[1]])
        .collect()
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

    /// The same bytes cost the same and arrive the same, however the network cuts them.
    #[test]
    fn any_stream_cut_anywhere_gives_the_same(
        stream in stream(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        hides_usage: bool,
    ) {
        for (_, format) in FORMATS {
            let whole = meter(format, hides_usage, [&stream[..]]);
            prop_assert_eq!(&meter(format, hides_usage, cut(&stream, &places)), &whole);
            prop_assert_eq!(&meter(format, hides_usage, stream.chunks(1)), &whole);
        }
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

//! Embeddings: unit vectors made of the hashes of the words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::tokenizer::count_tokens;
use super::{EMBEDDING, Pieces, Refusal, SandboxAnswer, SandboxBody};

const DEFAULT_DIMENSIONS: usize = 256;
const MAX_DIMENSIONS: usize = 3_072;
const MAX_INPUTS: usize = 2_048;

#[derive(Deserialize)]
struct Request {
    model: String,
    input: Input,
    #[serde(default)]
    dimensions: Option<usize>,
    #[serde(default)]
    encoding_format: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Tokens(Vec<u32>),
    Texts(Vec<String>),
    TokenLists(Vec<Vec<u32>>),
}

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    model: &'a str,
    data: Vec<Item>,
    usage: Usage,
}

#[derive(Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

pub(super) fn answer(body: &[u8]) -> Result<SandboxAnswer, Refusal> {
    let request: Request = serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(None, format!("not an embeddings request: {error}")))?;
    if request.model != EMBEDDING {
        return Err(Refusal::unknown_model(&request.model));
    }
    let dimensions = request.dimensions.unwrap_or(DEFAULT_DIMENSIONS);
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(Refusal::invalid(
            Some("dimensions"),
            format!("`dimensions` has to be an integer from 1 to {MAX_DIMENSIONS}"),
        ));
    }
    let is_base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(Refusal::invalid(
                Some("encoding_format"),
                "`encoding_format` has to be `float` or `base64`",
            ));
        }
    };
    let inputs = request.input.into_inputs();
    if inputs.is_empty() || inputs.len() > MAX_INPUTS {
        return Err(Refusal::invalid(
            Some("input"),
            format!("`input` has to hold 1 to {MAX_INPUTS} texts"),
        ));
    }
    let tokens = inputs.iter().map(|(_, tokens)| tokens).sum();
    let data = inputs
        .iter()
        .enumerate()
        .map(|(index, (words, _))| {
            let numbers = vector(words, dimensions);
            Item {
                object: "embedding",
                index,
                embedding: if is_base64 {
                    Vector::Base64(to_base64(&numbers))
                } else {
                    Vector::Numbers(numbers)
                },
            }
        })
        .collect();
    let answer = Answer {
        object: "list",
        model: &request.model,
        data,
        usage: Usage {
            prompt_tokens: tokens,
            total_tokens: tokens,
        },
    };
    let body = serde_json::to_vec(&answer)
        .map_err(|error| Refusal::invalid(None, format!("cannot write the answer: {error}")))?;
    Ok(SandboxAnswer {
        status: 200,
        content_type: "application/json",
        body: SandboxBody(Pieces::Whole(Some(body.into()))),
    })
}

impl Input {
    /// The words and the number of tokens of each input.
    fn into_inputs(self) -> Vec<(Vec<String>, u64)> {
        let of_text = |text: &str| {
            let words = text
                .split(|letter: char| !letter.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_lowercase)
                .collect();
            (words, count_tokens(text).max(1))
        };
        let of_tokens = |tokens: &[u32]| {
            let words = tokens.iter().map(u32::to_string).collect();
            (words, (tokens.len() as u64).max(1))
        };
        match self {
            Self::Text(text) => vec![of_text(&text)],
            // An empty list is no list of tokens, and no text either.
            Self::Tokens(tokens) if tokens.is_empty() => Vec::new(),
            Self::Tokens(tokens) => vec![of_tokens(&tokens)],
            Self::Texts(texts) => texts.iter().map(|text| of_text(text)).collect(),
            Self::TokenLists(lists) => lists.iter().map(|tokens| of_tokens(tokens)).collect(),
        }
    }
}

/// Each word adds to a few places that its hash names, so texts with the same words point the same way.
fn vector(words: &[String], dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0_f32; dimensions];
    // Without words there is still a direction.
    for word in words.iter().map(String::as_str).chain([""]) {
        let weight = if word.is_empty() { 0.1 } else { 1.0 };
        let mut hash = hash(word);
        for _ in 0..4 {
            let place = usize::try_from(hash % dimensions as u64).unwrap_or(0);
            sum[place] += if hash >> 63 == 0 { weight } else { -weight };
            hash = mix(hash);
        }
    }
    let mut length = sum.iter().map(|part| part * part).sum::<f32>().sqrt();
    if length == 0.0 {
        // All places cancelled out.
        sum[0] = 1.0;
        length = 1.0;
    }
    sum.iter().map(|part| part / length).collect()
}

/// FNV-1a: the same on every machine and in every version, which the standard hashers do not promise.
fn hash(word: &str) -> u64 {
    mix(word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// Spreads the bits (the finaliser of SplitMix64).
fn mix(hash: u64) -> u64 {
    let hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Little-endian floats, as the OpenAI SDK decodes them.
fn to_base64(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    STANDARD.encode(bytes)
}

//! Filling blocks.

use std::collections::HashMap;

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::{LogEntry, Shadow};

use super::{Block, CAPACITY, Row, Subject, Target};

/// A block that requests are added to.
#[derive(Debug, Default)]
pub(crate) struct Filler {
    block: Block,
    subjects: HashMap<Subject, usize>,
    targets: HashMap<Target, usize>,
    /// A handful of codes at most.
    error_codes: HashMap<String, usize>,
    shadows: HashMap<Shadow, usize>,
}

impl From<Block> for Filler {
    /// Goes on with a block that was begun before.
    fn from(block: Block) -> Self {
        Self {
            subjects: block.subjects.iter().copied().zip(0..).collect(),
            targets: block.targets.iter().cloned().zip(0..).collect(),
            error_codes: block.error_codes.iter().cloned().zip(0..).collect(),
            shadows: block.shadows.iter().copied().zip(0..).collect(),
            block,
        }
    }
}

impl Filler {
    /// Whether the block takes no more.
    pub(crate) const fn is_full(&self) -> bool {
        self.block.len() >= CAPACITY
    }

    /// The block as far as it is filled.
    pub(crate) fn into_block(self) -> Block {
        self.block
    }

    /// Adds a request, and when its charge was corrected.
    pub(crate) fn add(&mut self, entry: &LogEntry, resolved_at: Option<Timestamp>) {
        let (facts, ending) = (&entry.facts, &entry.ending);
        let row = Row {
            request: facts.request,
            at: facts.at,
            subject: self.subject(entry),
            target: self.target(entry),
            is_stream: facts.is_stream,
            is_bound: facts.is_bound,
            reserved_cost: facts.reserved_cost,
            reserved_tokens: facts.reserved_tokens,
            ended_at: ending.at,
            outcome: ending.outcome,
            status: ending.status,
            error_code: ending
                .error_code
                .as_deref()
                .map(|code| self.error_code(code)),
            shadow: facts.shadow.map(|shadow| self.shadow(shadow)),
            usage: ending.usage,
            cost: ending.cost,
            duration_micros: ending.duration_micros,
            first_byte_micros: ending.first_byte_micros,
            attempts: ending.attempts,
            resolved_at,
        };
        self.block.rows.push(row);
    }

    fn subject(&mut self, entry: &LogEntry) -> usize {
        let facts = &entry.facts;
        let subject = Subject {
            key: facts.key,
            user: facts.user,
            copy: facts.copy,
            profile: facts.profile,
            profile_version: facts.profile_version,
        };
        let all = &mut self.block.subjects;
        *self.subjects.entry(subject).or_insert_with(|| {
            all.push(subject);
            all.len() - 1
        })
    }

    fn target(&mut self, entry: &LogEntry) -> usize {
        let facts = &entry.facts;
        let is_same = |target: &Target| {
            target.model == facts.model
                && target.provider == facts.provider
                && target.endpoint == facts.endpoint
        };
        // Requests come in runs, and the text of a model need not be copied to be found.
        if let Some(last) = self.block.rows.last()
            && is_same(&self.block.targets[last.target])
        {
            return last.target;
        }
        let target = Target {
            provider: facts.provider.clone(),
            model: facts.model.clone(),
            endpoint: facts.endpoint,
        };
        let all = &mut self.block.targets;
        *self.targets.entry(target.clone()).or_insert_with(|| {
            all.push(target);
            all.len() - 1
        })
    }

    fn shadow(&mut self, shadow: Shadow) -> usize {
        let all = &mut self.block.shadows;
        *self.shadows.entry(shadow).or_insert_with(|| {
            all.push(shadow);
            all.len() - 1
        })
    }

    fn error_code(&mut self, code: &str) -> usize {
        if let Some(known) = self.error_codes.get(code) {
            return *known;
        }
        let all = &mut self.block.error_codes;
        all.push(code.to_owned());
        self.error_codes.insert(code.to_owned(), all.len() - 1);
        all.len() - 1
    }
}

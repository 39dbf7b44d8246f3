//! Counting test results from JUnit reports, which every runner we use can write.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// How many tests of a suite passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) const PASSED: Self = Self {
        passed: 1,
        failed: 0,
        skipped: 0,
    };
    pub(crate) const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Reads a report; a report without a test is an error, since nothing was proved.
pub(crate) fn read(path: &Path) -> anyhow::Result<Counts> {
    let text = fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))?;
    let counts = count(&text);
    anyhow::ensure!(
        counts.passed + counts.failed > 0,
        "no test ran, says `{}`",
        path.display()
    );
    Ok(counts)
}

/// Sums the `<testsuite …>` elements. The attributes are plain numbers, so no XML parser is needed.
fn count(report: &str) -> Counts {
    let mut sum = Counts::default();
    for suite in report.split("<testsuite ").skip(1) {
        let head = suite.split('>').next().unwrap_or_default();
        let number = |name: &str| {
            head.split_once(&format!(" {name}=\""))
                .and_then(|(_, rest)| rest.split('"').next())
                .and_then(|digits| digits.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let (failed, skipped) = (number("failures") + number("errors"), number("skipped"));
        sum += Counts {
            passed: number("tests").saturating_sub(failed + skipped),
            failed,
            skipped,
        };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_of_a_report_are_summed() {
        let report = r#"<?xml version="1.0"?>
<testsuites name="nextest-run" tests="7" failures="2" errors="1">
  <testsuite name="a::it" tests="4" disabled="0" errors="0" failures="1"><testcase name="x"/></testsuite>
  <testsuite name="b" tests="3" disabled="0" errors="1" failures="0" skipped="1"></testsuite>
</testsuites>"#;
        assert_eq!(
            count(report),
            Counts {
                passed: 4,
                failed: 2,
                skipped: 1
            }
        );
    }

    #[test]
    fn report_without_suites_counts_nothing() {
        assert_eq!(
            count("<testsuites tests=\"3\"></testsuites>"),
            Counts::default()
        );
    }
}

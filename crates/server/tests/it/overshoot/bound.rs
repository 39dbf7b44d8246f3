//! Five hundred callers at once against one dollar, in the mode `bound`.

use super::DOLLAR;
use super::crowd::{Crowd, half, upstream, varied};
use crate::black_box::{Stage, cost};

#[tokio::test]
async fn a_budget_in_bound_mode_is_spent_and_never_passed() {
    let stage = Stage::new(1.0, "bound").await;
    stage.provider.always(upstream(half));
    let crowd = Crowd {
        clients: 500,
        usage: half,
        request: varied,
    };
    let caller = &stage.caller;
    let look = async || assert!(caller.spent().await <= DOLLAR);
    let outcome = crowd.ask(std::slice::from_ref(caller), look).await;
    let spent = stage.caller.spent_when_idle().await;
    assert_eq!(
        spent, outcome.answered,
        "every answer came whole, so nothing else is charged"
    );
    assert!(spent <= DOLLAR, "{spent}");
    assert!(
        spent > DOLLAR / 100 * 99 - outcome.largest,
        "{spent}, largest {}",
        outcome.largest
    );
    assert_eq!(outcome.refused_by("budget_exceeded", "access_profile"), 500);
    let billed = stage.provider.billed();
    assert_eq!(
        cost(billed.input, billed.output),
        spent,
        "the upstream was made to do exactly what was charged"
    );
}

//! Processes that die.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::thread;

/// What happens in a process of its own, so to say: whatever still runs at its end is gone, as after `kill -9`.
pub(super) fn in_a_mortal_process<T: Send + 'static>(
    life: impl AsyncFnOnce() -> T + Send + 'static,
) -> T {
    let process = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let result = runtime.block_on(life());
        runtime.shutdown_background();
        result
    };
    thread::spawn(process).join().unwrap()
}

/// Whether `work` ends when it is woken so often and then never again.
pub(super) async fn ends_within<T>(wakes: u32, work: impl Future<Output = T>) -> bool {
    let mut work = pin!(work);
    let mut left = wakes;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        work.as_mut().poll(cx).map(|_| true)
    })
    .await
}

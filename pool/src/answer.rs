//! A result that a thread computes for a future.

use crate::sync::Mutex;
use crate::waiter::{Task, Wake};
use std::sync::Arc;
use std::task::{Context, Poll};

/// A result that is to come.
pub(crate) struct Answer<T> {
    value: Mutex<Option<T>>,
    task: Arc<Task>,
}

/// Gives a result in any case, because its future would otherwise wait forever.
pub(crate) struct Pledge<T> {
    answer: Arc<Answer<T>>,
    /// The result if no other is given.
    if_lost: Option<T>,
}

impl<T> Answer<T> {
    pub(crate) fn new(if_lost: T) -> (Arc<Self>, Pledge<T>) {
        let answer = Arc::new(Self { value: Mutex::new(None), task: Arc::default() });
        let pledge = Pledge { answer: Arc::clone(&answer), if_lost: Some(if_lost) };
        (answer, pledge)
    }

    /// Ready once.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<T> {
        self.task.watch(context.waker());
        match self.value.lock().take() {
            Some(value) => Poll::Ready(value),
            None => Poll::Pending,
        }
    }
}

impl<T> Pledge<T> {
    pub(crate) fn keep(mut self, value: T) {
        self.if_lost = None;
        self.give(value);
    }

    fn give(&self, value: T) {
        *self.answer.value.lock() = Some(value);
        Wake::Task(Arc::clone(&self.answer.task)).wake();
    }
}

impl<T> Drop for Pledge<T> {
    fn drop(&mut self) {
        if let Some(value) = self.if_lost.take() {
            self.give(value);
        }
    }
}

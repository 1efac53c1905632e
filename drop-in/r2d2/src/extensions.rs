//! Values that an application stores with a connection.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;

/// At most one value of each type, stored with a connection while it is open, across loans.
///
/// ```
/// let mut extensions = r2d2::Extensions::new();
/// assert_eq!(extensions.insert(7_u32), None);
/// assert_eq!(extensions.insert(8_u32), Some(7));
/// assert_eq!(extensions.get::<u32>(), Some(&8));
/// assert_eq!(extensions.get::<String>(), None);
/// ```
#[derive(Default)]
pub struct Extensions(HashMap<TypeId, Box<dyn Any + Sync + Send>>);

impl Extensions {
    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores `value`. Returns the previous value of this type.
    pub fn insert<T: 'static + Sync + Send>(&mut self, value: T) -> Option<T> {
        self.0.insert(TypeId::of::<T>(), Box::new(value)).and_then(unbox)
    }

    /// Returns the value of this type.
    pub fn get<T: 'static + Sync + Send>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }

    /// Returns the value of this type, mutably.
    pub fn get_mut<T: 'static + Sync + Send>(&mut self) -> Option<&mut T> {
        self.0.get_mut(&TypeId::of::<T>())?.downcast_mut()
    }

    /// Removes and returns the value of this type.
    pub fn remove<T: 'static + Sync + Send>(&mut self) -> Option<T> {
        self.0.remove(&TypeId::of::<T>()).and_then(unbox)
    }

    /// Drops all values.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

fn unbox<T: 'static>(value: Box<dyn Any + Sync + Send>) -> Option<T> {
    value.downcast().ok().map(|value| *value)
}

//! Numbered places for values that come and go, without an allocation once it has grown.

/// Values by number; a number is free again after its value was taken out.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(id) => {
                self.places[id as usize] = Some(value);
                id
            }
            None => {
                self.places.push(Some(value));
                // The free list can then hold every place without growing on the way back.
                self.free.reserve(self.places.len() - self.free.len());
                (self.places.len() - 1) as u32
            }
        }
    }

    pub(crate) fn remove(&mut self, id: u32) -> T {
        let value = self.places[id as usize]
            .take()
            .expect("the number is in use");
        self.free.push(id);
        value
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, id: u32) -> &T {
        self.places[id as usize]
            .as_ref()
            .expect("the number is in use")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        self.places[id as usize]
            .as_mut()
            .expect("the number is in use")
    }
}

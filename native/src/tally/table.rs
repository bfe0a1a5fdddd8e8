//! One table: its groups, all together or slot by slot.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::groups::{Groups, Layout, Row};
use super::keys::Keys;
use super::numbers::Numbers;
use super::report::Still;
use super::spec::{Measure, Plan, MOST_KEYS};
use super::words::{Id, NULL, OTHER};
use super::UNTIMED;

/// Slots open at once; a table that nobody takes from can't fill the memory.
const MOST_SLOTS: usize = 1024;

/// What the rows of a batch have in common for all tables.
pub(super) struct Seen<'a> {
    pub(super) keys: &'a Keys,
    pub(super) numbers: &'a Numbers,
    /// [`UNTIMED`] where not known.
    pub(super) ends: &'a [i64],
    pub(super) weights: &'a [f64],
    /// Empty unless a table asks for marks.
    pub(super) marks: &'a [u32],
    pub(super) trace: &'a dyn Fn(usize) -> Option<([u8; 32], [u8; 16])>,
}

/// Rows that a table could not count where they belong.
#[derive(Clone, Copy, Default)]
pub(super) struct Missed {
    /// Counted in the group of the others.
    pub(super) overflow_rows: u64,
    pub(super) overflow_calls: f64,
    /// Not counted: the slot was taken already, or the row has no time.
    pub(super) late: u64,
    /// Not counted: too many slots were open.
    pub(super) refused: u64,
}

pub(super) struct Table {
    pub(super) plan: Arc<Plan>,
    pub(super) layout: Arc<Layout>,
    /// By the number of the slot; a table without slots has one.
    pub(super) slots: BTreeMap<i64, Arc<Groups>>,
    pub(super) missed: Missed,
    /// Slots before it are taken.
    taken: i64,
}

impl Table {
    pub(super) fn new(plan: Plan) -> Table {
        let layout = Arc::new(Layout::of(&plan));
        Table { plan: Arc::new(plan), layout, slots: BTreeMap::new(), missed: Missed::default(), taken: i64::MIN }
    }

    pub(super) fn observe(&mut self, seen: &Seen) {
        if self.plan.measured && !self.plan.measures.iter().any(|measure| seen.numbers.occurs(measure.number)) {
            return;
        }
        let mut row = 0;
        while row < seen.ends.len() {
            let Some(slot) = self.slot(seen, row) else {
                row += 1;
                continue;
            };
            let groups = self.slots.entry(slot).or_default();
            // Copied only while a reader still holds it.
            row = run(Arc::make_mut(groups), &self.plan, &self.layout, &mut self.missed, seen, slot, row);
        }
    }

    /// The slot of a row that is to be counted; `None` for one that is not.
    fn slot(&mut self, seen: &Seen, row: usize) -> Option<i64> {
        if !wanted(&self.plan, seen, row) {
            return None;
        }
        let slot = slot_of(&self.plan, seen, row);
        match slot {
            Some(slot) if slot >= self.taken => {
                if self.slots.len() >= MOST_SLOTS && !self.slots.contains_key(&slot) {
                    self.missed.refused += 1;
                    return None;
                }
                Some(slot)
            }
            _ => {
                self.missed.late += 1;
                None
            }
        }
    }

    /// Numbers of words have changed.
    pub(super) fn renumber(&mut self, moved: &[Id]) {
        for groups in self.slots.values_mut() {
            Arc::make_mut(groups).renumber(moved, self.plan.by.len());
        }
        // A plan with conditions is shared with readers, who look at its names only.
        let plan = Arc::make_mut(&mut self.plan);
        for id in plan.conditions.iter_mut().flat_map(|(_, words)| words) {
            *id = moved.get(*id as usize).copied().unwrap_or(OTHER);
        }
    }

    /// The table with some of its slots, as it is now.
    pub(super) fn still(&self, slots: BTreeMap<i64, Arc<Groups>>) -> Still {
        Still { plan: Arc::clone(&self.plan), layout: Arc::clone(&self.layout), slots, missed: self.missed }
    }

    /// Removes the slots that end at or before a time.
    pub(super) fn take(&mut self, before_ns: i64) -> BTreeMap<i64, Arc<Groups>> {
        if self.plan.slot_ns == 0 {
            return BTreeMap::new();
        }
        self.taken = self.taken.max(before_ns.div_euclid(self.plan.slot_ns));
        let open = self.slots.split_off(&self.taken);
        std::mem::replace(&mut self.slots, open)
    }
}

/// Counts rows from `first` on, up to one of another slot; gives its place.
fn run(
    groups: &mut Groups,
    plan: &Plan,
    layout: &Layout,
    missed: &mut Missed,
    seen: &Seen,
    slot: i64,
    first: usize,
) -> usize {
    let mut columns = [&[][..]; MOST_KEYS];
    for (column, &key) in columns.iter_mut().zip(&plan.by) {
        *column = seen.keys.ids(key);
    }
    let columns = &columns[..plan.by.len()];
    let mut key = [NULL; MOST_KEYS];
    for row in first..seen.ends.len() {
        if row > first {
            if !wanted(plan, seen, row) {
                continue;
            }
            if slot_of(plan, seen, row) != Some(slot) {
                return row;
            }
        }
        for (word, column) in key.iter_mut().zip(columns) {
            *word = column.get(row).copied().unwrap_or(NULL);
        }
        let group = groups.find(&key[..columns.len()], plan.cap, layout);
        let weight = seen.weights.get(row).copied().unwrap_or(1.0);
        if groups.other() == Some(group) {
            missed.overflow_rows += 1;
            missed.overflow_calls += weight;
        }
        let number = |number| seen.numbers.value(number, row);
        let trace = if layout.exemplars > 0 { (seen.trace)(row) } else { None };
        let end_ns = seen.ends.get(row).copied().unwrap_or(UNTIMED);
        groups.add(group, plan, layout, &Row { weight, end_ns, number: &number, trace });
    }
    seen.ends.len()
}

#[inline]
fn wanted(plan: &Plan, seen: &Seen, row: usize) -> bool {
    let is = |(key, words): &(usize, Vec<Id>)| seen.keys.ids(*key).get(row).is_some_and(|id| words.contains(id));
    let marked = plan.marks == 0 || seen.marks.get(row).is_some_and(|marks| marks & plan.marks != 0);
    let measured = |measure: &Measure| !seen.numbers.value(measure.number, row).is_nan();
    marked && plan.conditions.iter().all(is) && (!plan.measured || plan.measures.iter().any(measured))
}

/// `None` where the row has no time and the table has slots.
#[inline]
fn slot_of(plan: &Plan, seen: &Seen, row: usize) -> Option<i64> {
    if plan.slot_ns == 0 {
        return Some(0);
    }
    seen.ends.get(row).filter(|&&end| end != UNTIMED).map(|end| end.div_euclid(plan.slot_ns))
}

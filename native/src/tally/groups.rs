//! The groups of one table, or of one slot of it: flat columns, so that a copy for a reader is cheap.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::numbers::UNREADABLE;
use super::spec::{Kind, Plan};
use super::words::{Id, OTHER};

/// The last row of a bucket that belongs to a sampled trace.
#[derive(Clone, Copy)]
pub(super) struct Exemplar {
    pub(super) trace: [u8; 32],
    pub(super) span: [u8; 16],
    pub(super) value: f64,
    pub(super) end_ns: i64,
}

impl Exemplar {
    pub(super) const NONE: Exemplar = Exemplar { trace: [0; 32], span: [0; 16], value: f64::NAN, end_ns: 0 };

    pub(super) fn is_some(&self) -> bool {
        self.trace[0] != 0
    }
}

/// What one row adds to its group.
pub(super) struct Row<'a> {
    pub(super) weight: f64,
    pub(super) end_ns: i64,
    pub(super) number: &'a dyn Fn(usize) -> f64,
    /// Trace and span, where the trace is sampled.
    pub(super) trace: Option<([u8; 32], [u8; 16])>,
}

/// Where the cells of a measure begin, how many buckets it has, and where its exemplars begin.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) cells: usize,
    pub(super) buckets: usize,
    pub(super) exemplars: usize,
}

/// How the cells of a group are laid out. A histogram has its buckets, then its sum; a sum has sum and weight; a
/// value has itself. Behind each stands how many rows could not be read.
pub(super) struct Layout {
    pub(super) places: Vec<Place>,
    pub(super) cells: usize,
    pub(super) exemplars: usize,
    fresh: Vec<f64>,
}

impl Layout {
    pub(super) fn of(plan: &Plan) -> Layout {
        let (mut places, mut fresh, mut exemplars) = (Vec::new(), Vec::new(), 0);
        for measure in &plan.measures {
            let buckets = match &measure.kind {
                Kind::Histogram(bounds) => bounds.len() + 1,
                _ => 0,
            };
            places.push(Place { cells: fresh.len(), buckets, exemplars });
            match measure.kind {
                Kind::Histogram(_) => fresh.resize(fresh.len() + buckets + 2, 0.0),
                Kind::Sum => fresh.extend([0.0; 3]),
                Kind::Last | Kind::Min | Kind::Max => fresh.extend([f64::NAN, 0.0]),
            }
            exemplars += if plan.exemplar { buckets } else { 0 };
        }
        Layout { places, cells: fresh.len(), exemplars, fresh }
    }
}

#[derive(Clone, Default)]
pub(super) struct Groups {
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    pub(super) keys: Vec<Id>,
    pub(super) rows: Vec<u64>,
    pub(super) calls: Vec<f64>,
    pub(super) cells: Vec<f64>,
    /// When the value of each measure was told, for last, min and max.
    pub(super) times: Vec<i64>,
    pub(super) exemplars: Vec<Exemplar>,
    other: Option<usize>,
    /// The group of the row before: calls come in runs.
    last: usize,
}

impl Groups {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The group of those that there was no room for.
    pub(super) fn other(&self) -> Option<usize> {
        self.other
    }

    /// The group of a key; beyond `cap` groups, the one of the others.
    #[inline]
    pub(super) fn find(&mut self, key: &[Id], cap: usize, layout: &Layout) -> usize {
        let width = key.len();
        if self.keys.get(self.last * width..(self.last + 1) * width) == Some(key) && self.last < self.len() {
            return self.last;
        }
        self.last = self.look_up(key, cap, layout);
        self.last
    }

    fn look_up(&mut self, key: &[Id], cap: usize, layout: &Layout) -> usize {
        if key.contains(&OTHER) {
            return self.others(key.len(), layout);
        }
        let hash = self.hasher.hash_one(key);
        let keys = &self.keys;
        if let Some(&group) = self.index.find(hash, |&group| of(keys, key.len(), group) == key) {
            return group as usize;
        }
        if self.len() - usize::from(self.other.is_some()) >= cap {
            return self.others(key.len(), layout);
        }
        let group = self.push(key, layout);
        let (keys, hasher) = (&self.keys, &self.hasher);
        let number = u32::try_from(group).unwrap_or(u32::MAX);
        self.index.insert_unique(hash, number, |&group| hasher.hash_one(of(keys, key.len(), group)));
        group
    }

    fn others(&mut self, width: usize, layout: &Layout) -> usize {
        if let Some(group) = self.other {
            return group;
        }
        let group = self.push(&vec![OTHER; width], layout);
        self.other = Some(group);
        group
    }

    fn push(&mut self, key: &[Id], layout: &Layout) -> usize {
        self.keys.extend_from_slice(key);
        self.rows.push(0);
        self.calls.push(0.0);
        self.cells.extend_from_slice(&layout.fresh);
        self.times.resize(self.times.len() + layout.places.len(), 0);
        self.exemplars.resize(self.exemplars.len() + layout.exemplars, Exemplar::NONE);
        self.len() - 1
    }

    /// Counts a row.
    #[inline]
    pub(super) fn add(&mut self, group: usize, plan: &Plan, layout: &Layout, row: &Row) {
        if let (Some(rows), Some(calls)) = (self.rows.get_mut(group), self.calls.get_mut(group)) {
            *rows += 1;
            *calls += row.weight;
        }
        let begin = group * layout.cells;
        let Some(cells) = self.cells.get_mut(begin..begin + layout.cells) else { return };
        for (number, (measure, place)) in plan.measures.iter().zip(&layout.places).enumerate() {
            let value = (row.number)(measure.number);
            let Some(cells) = cells.get_mut(place.cells..) else { return };
            if value.is_nan() {
                continue;
            }
            let time = self.times.get_mut(group * layout.places.len() + number);
            match &measure.kind {
                Kind::Histogram(bounds) => {
                    let Some(bucket) = histogram(cells, bounds, value, row.weight) else { continue };
                    if let Some(trace) = row.trace.filter(|_| layout.exemplars > 0) {
                        let at = group * layout.exemplars + place.exemplars + bucket;
                        if let Some(exemplar) = self.exemplars.get_mut(at) {
                            *exemplar = Exemplar { trace: trace.0, span: trace.1, value, end_ns: row.end_ns };
                        }
                    }
                }
                Kind::Sum => sum(cells, value, row.weight),
                Kind::Last => replace(cells, time, value, row.end_ns, |_| true),
                Kind::Min => replace(cells, time, value, row.end_ns, |old| value < old),
                Kind::Max => replace(cells, time, value, row.end_ns, |old| value > old),
            }
        }
    }

    /// Numbers of words have changed.
    pub(super) fn renumber(&mut self, moved: &[Id], width: usize) {
        for id in &mut self.keys {
            *id = moved.get(*id as usize).copied().unwrap_or(OTHER);
        }
        self.index.clear();
        let (keys, hasher) = (&self.keys, &self.hasher);
        let hash = |group: u32| hasher.hash_one(of(keys, width, group));
        for group in (0..self.rows.len()).filter(|&group| Some(group) != self.other) {
            let number = u32::try_from(group).unwrap_or(u32::MAX);
            self.index.insert_unique(hash(number), number, |&group| hash(group));
        }
    }
}

fn of(keys: &[Id], width: usize, group: u32) -> &[Id] {
    let begin = group as usize * width;
    keys.get(begin..begin + width).unwrap_or_default()
}

/// The bucket; `None` where the value could not be read.
fn histogram(cells: &mut [f64], bounds: &[f64], value: f64, weight: f64) -> Option<usize> {
    let buckets = bounds.len() + 1;
    if value == UNREADABLE {
        bump(cells, buckets + 1, 1.0);
        return None;
    }
    // A bucket holds its upper end, as in Prometheus.
    let bucket = bounds.iter().take_while(|&&bound| bound < value).count();
    bump(cells, bucket, weight);
    bump(cells, buckets, value * weight);
    Some(bucket)
}

fn sum(cells: &mut [f64], value: f64, weight: f64) {
    if value == UNREADABLE {
        bump(cells, 2, 1.0);
    } else {
        bump(cells, 0, value * weight);
        bump(cells, 1, weight);
    }
}

fn replace(cells: &mut [f64], time: Option<&mut i64>, value: f64, end_ns: i64, better: impl Fn(f64) -> bool) {
    match (cells, time) {
        ([_, unreadable, ..], _) if value == UNREADABLE => *unreadable += 1.0,
        ([old, ..], Some(time)) if old.is_nan() || better(*old) => {
            *old = value;
            *time = end_ns;
        }
        _ => {}
    }
}

fn bump(cells: &mut [f64], place: usize, by: f64) {
    if let Some(cell) = cells.get_mut(place) {
        *cell += by;
    }
}

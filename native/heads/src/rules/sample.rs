//! Sampling: by the request's first TCP sequence number, so that both ends of one call decide alike.

use serde::Deserialize;

use crate::exchange::{Exchange, Marks};

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// The share of exchanges that is kept, 0 to 1.
    rate: f64,
    /// Errors (status 400 and above, reset, no response, malformed) are kept whatever the rate.
    keep_errors: bool,
}

impl Default for Sample {
    fn default() -> Sample {
        Sample { rate: 1.0, keep_errors: true }
    }
}

impl Sample {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.rate > 0.0 && self.rate <= 1.0 {
            Ok(())
        } else {
            Err(format!("sample.rate is {}, not above 0 and at most 1", self.rate))
        }
    }

    /// How many exchanges this one stands for; `None` when it is left out.
    pub fn weight(&self, exchange: &Exchange) -> Option<f64> {
        if self.rate >= 1.0 || (self.keep_errors && is_error(exchange)) {
            return Some(1.0);
        }
        (share(exchange.request_seq) < self.rate).then(|| 1.0 / self.rate)
    }
}

fn is_error(exchange: &Exchange) -> bool {
    let status = exchange.response.as_ref().and_then(|response| response.head.status);
    status.is_some_and(|status| status >= 400)
        || exchange.marks.has(Marks(Marks::RESET.0 | Marks::NO_RESPONSE.0 | Marks::MALFORMED.0))
}

/// A number in [0, 1) from a sequence number, mixed by splitmix64 (Steele, Lea, Flood 2014): neighbours fall far apart.
#[allow(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
fn share(seq: u32) -> f64 {
    let mut z = u64::from(seq).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_kept_of_sequence_numbers_in_steps() {
        let sample = Sample { rate: 0.1, keep_errors: true };
        for step in [1u32, 100, 4096, 65_537] {
            let kept = (0..100_000u32)
                .filter(|index| {
                    let exchange = Exchange { request_seq: index.wrapping_mul(step), ..Default::default() };
                    sample.weight(&exchange).is_some()
                })
                .count();
            assert!((9_500..10_500).contains(&kept), "{kept} with step {step}");
        }
    }

    #[test]
    fn errors_are_kept_with_weight_one_and_the_rest_stand_for_many() {
        let sample = Sample { rate: 0.25, keep_errors: true };
        let weights: Vec<f64> = (0..1000)
            .filter_map(|request_seq| sample.weight(&Exchange { request_seq, ..Default::default() }))
            .collect();
        assert!(weights.iter().all(|weight| (weight - 4.0).abs() < 1e-9));
        for request_seq in 0..1000 {
            let lost = Exchange { request_seq, marks: Marks::NO_RESPONSE, ..Default::default() };
            assert_eq!(sample.weight(&lost), Some(1.0));
        }
    }
}

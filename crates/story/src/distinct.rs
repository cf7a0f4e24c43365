//! How many different things there were: exactly where they are few, else about as many.

/// So many are counted exactly.
const EXACT: usize = 256;
/// Registers of the estimate: its standard error is 1.04 / sqrt(REGISTERS), 6.5 percent (Flajolet and others, HyperLogLog, 2007).
const REGISTERS: usize = 256;

/// The hashes of what was seen, or an estimate of their number. The hashes have to be well mixed.
#[derive(Clone, Debug)]
pub enum Distinct {
    /// All of them, in order.
    Few(Vec<u64>),
    /// The longest run of zeros in the hashes of each register.
    Many(Box<[u8; REGISTERS]>),
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct::Few(Vec::new())
    }
}

impl Distinct {
    /// Counts one.
    pub fn add(&mut self, hash: u64) {
        match self {
            Distinct::Few(all) => {
                let Err(at) = all.binary_search(&hash) else { return };
                if all.len() < EXACT {
                    // Most have one.
                    if all.is_empty() {
                        all.reserve_exact(1);
                    }
                    return all.insert(at, hash);
                }
                let mut registers = Box::new([0; REGISTERS]);
                all.iter().chain([&hash]).for_each(|hash| note(&mut registers, *hash));
                *self = Distinct::Many(registers);
            }
            Distinct::Many(registers) => note(registers, hash),
        }
    }

    /// Counts what another one has.
    pub fn add_all(&mut self, other: &Distinct) {
        match (&mut *self, other) {
            (_, Distinct::Few(all)) => all.iter().for_each(|hash| self.add(*hash)),
            (Distinct::Many(own), Distinct::Many(others)) => {
                own.iter_mut().zip(others.iter()).for_each(|(own, other)| *own = (*own).max(*other));
            }
            (Distinct::Few(all), Distinct::Many(registers)) => {
                let mut registers = registers.clone();
                all.iter().for_each(|hash| note(&mut registers, *hash));
                *self = Distinct::Many(registers);
            }
        }
    }

    /// How many there are, and whether that is exact.
    pub fn count(&self) -> (usize, bool) {
        let registers = match self {
            Distinct::Few(all) => return (all.len(), true),
            Distinct::Many(registers) => registers,
        };
        let all = REGISTERS as f64;
        let sum: f64 = registers.iter().map(|zeros| 0.5_f64.powi(i32::from(*zeros))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / all) * all * all / sum;
        let empty = registers.iter().filter(|zeros| **zeros == 0).count();
        let estimate = if raw <= 2.5 * all && empty > 0 { all * (all / empty as f64).ln() } else { raw };
        ((estimate.round() as usize).max(EXACT + 1), false)
    }

    /// What it takes beside itself, in bytes.
    pub fn held(&self) -> usize {
        match self {
            Distinct::Few(all) => all.capacity() * size_of::<u64>(),
            Distinct::Many(_) => REGISTERS,
        }
    }
}

fn note(registers: &mut [u8; REGISTERS], hash: u64) {
    let zeros = (hash | 1).leading_zeros() as u8 + 1;
    let register = &mut registers[hash as usize % REGISTERS];
    *register = (*register).max(zeros);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, RandomState};

    #[test]
    fn few_are_exact_and_many_are_near() {
        let hasher = RandomState::new();
        for count in [0, 1, EXACT, EXACT + 1, 2000, 100_000] {
            let (mut all, mut halves) = (Distinct::default(), [Distinct::default(), Distinct::default()]);
            for number in 0..count {
                let hash = hasher.hash_one(number);
                all.add(hash);
                all.add(hash);
                halves[number % 2].add(hash);
            }
            let [mut first, second] = halves;
            first.add_all(&second);
            for found in [all.count(), first.count()] {
                assert_eq!(found.1, count <= EXACT, "{count}");
                let off = found.0.abs_diff(count);
                // Five standard errors.
                assert!(off == 0 || (count > EXACT && off * 3 <= count), "{count}: {found:?}");
            }
        }
    }
}

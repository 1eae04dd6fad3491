//! `GET /users`.

use serde_json::{Value, json};

use crate::support::{Actor, Admin, MINUTE, PASSWORD, TestApp, on_both_flavours};

on_both_flavours! {
    the_times_are_those_of_the_newest_live_access_token,
    a_list_has_the_accounts_that_fit_every_parameter,
    the_next_page_fits_the_same_parameters_and_the_count_is_of_all_pages,
}

async fn list(admin: &Admin, path: &str) -> Vec<Value> {
    let answer = admin.get(path).send().await.json(200);
    answer.as_array().expect("an array").clone()
}

/// The times of an account in the list, as the administrator sees them now.
async fn times(app: &TestApp, email: &str) -> (Option<i64>, Option<i64>) {
    let admin = app.admin().await;
    let users = list(&admin, "/users").await;
    let user = users.iter().find(|user| user["email"] == email).expect("the account");
    (user["iat"].as_i64(), user["exp"].as_i64())
}

async fn the_times_are_those_of_the_newest_live_access_token(app: TestApp) {
    const EMAIL: &str = "ada@example.com";
    app.register(EMAIL, PASSWORD).await.json(201);
    assert_eq!(times(&app, EMAIL).await, (None, None), "before any login");

    let start = app.now();
    let mut ada = crate::support::LoggedIn::log_in(&app, EMAIL, PASSWORD).await;
    assert_eq!(times(&app, EMAIL).await, (Some(start), Some(start + 900)));

    app.advance(MINUTE);
    let elsewhere = ada.on_another_device().await;
    assert_eq!(times(&app, EMAIL).await, (Some(start + 60), Some(start + 960)), "the newer session");

    app.log_out(&elsewhere.tokens.access).await.json(200);
    assert_eq!(times(&app, EMAIL).await, (Some(start), Some(start + 900)), "the one that is left");

    app.advance(MINUTE);
    ada.refresh().await;
    assert_eq!(times(&app, EMAIL).await, (Some(start + 120), Some(start + 1020)), "a refresh");

    app.advance(MINUTE);
    app.auth_me_by_refresh_token(&ada.tokens.refresh).await.json(200);
    assert_eq!(times(&app, EMAIL).await, (Some(start + 180), Some(start + 1080)), "no rotation");

    app.advance(MINUTE * 15);
    assert_eq!(times(&app, EMAIL).await, (None, None), "after its end");
}

#[tokio::test]
async fn an_entry_is_the_account_with_numbers_for_sub_iat_and_exp() {
    let app = TestApp::spawn().await;
    let body = json!({
        "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "password": PASSWORD
    });
    let id = app.anonymous().post("/auth/register").json(&body).send().await.json(201)["id"].clone();
    let admin = app.admin().await;
    let expected = json!([
        {
            "id": admin.0.id, "sub": admin.0.id, "email": "johndoe@example.com",
            "first_name": null, "last_name": null, "email_verified": true, "role": "admin", "disabled": false,
            "external_id": null, "iat": app.now(), "exp": app.now() + 900
        },
        {
            "id": id, "sub": id, "email": "ada@example.com",
            "first_name": "Ada", "last_name": "Lovelace", "email_verified": false, "role": "member", "disabled": false,
            "external_id": null, "iat": null, "exp": null
        }
    ]);
    let answer = admin.get("/users").send().await;
    assert_eq!(answer.json(200), expected);
    assert_eq!(answer.header("link"), None);
}

#[tokio::test]
async fn following_the_link_header_shows_every_account_once() {
    let app = TestApp::spawn().await;
    for number in 0..6 {
        app.register(&format!("user{number}@example.com"), PASSWORD).await.json(201);
    }
    let admin = app.admin().await;
    let all: Vec<Value> = list(&admin, "/users").await;
    assert_eq!(all.len(), 7);
    for limit in [1, 3, 7, 8] {
        let (mut seen, mut path) = (Vec::new(), Some(format!("/users?limit={limit}")));
        while let Some(page) = path {
            let answer = admin.get(&page).send().await;
            let users = answer.json(200).as_array().expect("an array").clone();
            assert!(!users.is_empty() && users.len() <= limit, "{answer:?}");
            seen.extend(users);
            path = answer.header("link").map(|link| {
                let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
                target.unwrap_or_else(|| panic!("{link}")).to_owned()
            });
        }
        assert_eq!(seen, all, "{limit} a page");
    }
}

#[tokio::test]
async fn pages_begin_behind_an_id() {
    let app = TestApp::spawn().await;
    let (ada, grace) = (app.member("ada").await, app.member("grace").await);
    let admin = app.admin().await;
    let ids = async |path: String| -> Vec<i64> {
        list(&admin, &path).await.iter().map(|user| user["id"].as_i64().expect("an id")).collect()
    };
    assert_eq!(ids(format!("/users?after={}", admin.0.id)).await, [ada.id, grace.id]);
    assert_eq!(ids(format!("/users?after={}&limit=1", ada.id)).await, [grace.id]);
    assert!(ids(format!("/users?after={}", grace.id)).await.is_empty());
    assert_eq!(ids("/users?after=0".to_owned()).await.len(), 3);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_400() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=1.5",
        "limit=99999999999",
        "after=-1",
        "after=ada",
        "after=1.5",
        "after=99999999999999999999",
    ] {
        let answer = admin.get(&format!("/users?{query}")).send().await;
        answer.assert_refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_member_is_403() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    ada.get("/users").send().await.assert_refused(403, "forbidden");
    ada.get("/users?limit=1").refresh(&ada.tokens.refresh).send().await.assert_refused(403, "forbidden");
}

async fn emails(admin: &Admin, path: &str) -> Vec<String> {
    let users = list(admin, path).await;
    users.iter().map(|user| user["email"].as_str().expect("text").to_owned()).collect()
}

async fn named(app: &TestApp, first_name: &str, last_name: &str, email: &str) -> i64 {
    let body =
        json!({"first_name": first_name, "last_name": last_name, "email": email, "password": PASSWORD});
    let answer = app.anonymous().post("/auth/register").json(&body).send().await.json(201);
    answer["id"].as_i64().expect("an id")
}

async fn a_list_has_the_accounts_that_fit_every_parameter(app: TestApp) {
    let ada = named(&app, "Ada", "Lovelace", "ada@example.com").await;
    named(&app, "Grace", "Hopper", "grace@b\u{fc}cher.example").await;
    named(&app, "Ren\u{e9}", "100%_real", "adam@example.com").await;
    let admin = app.admin().await;
    let change = json!({"disabled": true, "external_id": "4711"});
    admin.patch(&format!("/users/{ada}")).json(&change).send().await.json(200);
    for (query, found) in [
        ("email=ADA@example.com", &["ada@example.com"][..]),
        ("email=grace@xn--bcher-kva.example", &["grace@b\u{fc}cher.example"]),
        ("email=nobody@example.com", &[]),
        ("q=ada", &["ada@example.com", "adam@example.com"]),
        ("q=ADA%20", &["ada@example.com", "adam@example.com"]),
        ("q=hop", &["grace@b\u{fc}cher.example"]),
        ("q=ren%C3%A9", &["adam@example.com"]),
        // Beginnings, and never patterns.
        ("q=opper", &[]),
        ("q=a%25", &[]),
        ("q=_da", &[]),
        ("q=100%25_", &["adam@example.com"]),
        ("q=100__", &[]),
        ("q=x'%20OR%20'1'='1", &[]),
        ("role=admin", &["johndoe@example.com"]),
        ("disabled=true", &["ada@example.com"]),
        ("disabled=false&q=ada", &["adam@example.com"]),
        ("external_id=4711", &["ada@example.com"]),
        ("external_id=4711&disabled=false", &[]),
        ("role=member&order=newest&limit=2", &["adam@example.com", "grace@b\u{fc}cher.example"]),
    ] {
        assert_eq!(emails(&admin, &format!("/users?{query}")).await, found, "{query}");
    }
    for bad in ["email=x", "q=", "q=%00", "role=root", "disabled=perhaps", "order=random", "external_id="] {
        let answer = admin.get(&format!("/users?{bad}")).send().await;
        let problem = answer.assert_refused(400, "invalid_request");
        let name = bad.split('=').next().expect("a name");
        assert_eq!(problem["errors"][0]["field"], name, "{bad}");
    }
    app.member("eve").await.get("/users?email=ada@example.com").send().await.assert_refused(403, "forbidden");
}

async fn the_next_page_fits_the_same_parameters_and_the_count_is_of_all_pages(app: TestApp) {
    for n in 0..5 {
        named(&app, "Ada", "L", &format!("ada{n}@example.com")).await;
    }
    let admin = app.admin().await;
    let mut path = "/users?q=ada&order=newest&role=member&disabled=false&count=true&limit=2".to_owned();
    let mut seen = Vec::new();
    for page in 0..3 {
        let answer = admin.get(&path).send().await;
        assert_eq!(answer.header("x-total-count"), Some("5"), "{path}");
        seen.extend(answer.json(200).as_array().expect("an array").iter().map(|user| user["email"].clone()));
        match answer.header("link") {
            Some(link) => path = link[1..link.find('>').expect("an address")].to_owned(),
            None => assert_eq!(page, 2),
        }
    }
    assert_eq!(seen, [4, 3, 2, 1, 0].map(|n| json!(format!("ada{n}@example.com"))));
    assert_eq!(admin.get("/users?q=ada").send().await.header("x-total-count"), None, "nobody asked");
}

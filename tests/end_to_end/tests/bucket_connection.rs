//! How `@peat/s3` reaches its bucket: over TLS, through proxies, with the credentials and the region of the standard chain.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use peat_end_to_end_tests::{Checkout, Outcome, Scratch};
use peat_test_support::s3::{ACCESS_KEY, AUTHORITY, BUCKET, REGION, S3Server, SECRET_KEY};

/// A name that no resolver knows: only a proxy can lead to it.
const UNKNOWN_HOST: &str = "store.peat.test";

/// A checkout on a machine with these variables, with `@peat/s3` installed.
fn checkout(scratch: &Scratch, variables: &[(&str, &str)]) -> Checkout {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let checkout = scratch.machine().with_variables(&variables).repository("checkout");
    checkout.install("peat-s3", &[]);
    checkout.shell_model("hello", "echo hello");
    checkout
}

fn set_up(checkout: &Checkout, endpoint: &str, more: &[&str]) -> Outcome {
    let (bucket, endpoint) = (format!("bucket={BUCKET}"), format!("endpoint={endpoint}"));
    let words = ["datastore", "setup", "@peat/s3", "--setting", &bucket, "--setting", &endpoint];
    let more = more.iter().flat_map(|setting| ["--setting", setting]);
    checkout.peat(&words.into_iter().chain(more).collect::<Vec<_>>())
}

fn run(checkout: &Checkout) -> Outcome {
    checkout.peat(&["model", "method", "run", "hello", "execute"])
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];

#[test]
fn a_store_behind_tls_is_used_when_its_authority_is_trusted_and_refused_when_it_is_not() {
    let (scratch, server) = (Scratch::new(), S3Server::start_with_tls());
    let authority = scratch.path().join("authority.pem");
    std::fs::write(&authority, AUTHORITY).unwrap();
    let trusting = checkout(&scratch, &[KEYS[0], KEYS[1], ("AWS_CA_BUNDLE", authority.to_str().unwrap())]);
    set_up(&trusting, &server.endpoint(), &[]).ok();
    run(&trusting).ok();
    assert!(server.keys().iter().any(|key| key.contains("_index")), "{:?}", server.keys());

    server.clear_log();
    let wary = checkout(&scratch, &KEYS);
    set_up(&wary, &server.endpoint(), &[]).ended_with(6).says(&["certificate", "AWS_CA_BUNDLE"]);
    assert_eq!(server.log(), []);
    let wrong = checkout(&scratch, &[KEYS[0], KEYS[1], ("AWS_CA_BUNDLE", "/nowhere/authority.pem")]);
    set_up(&wrong, &server.endpoint(), &[]).ended_with(2).says(&["AWS_CA_BUNDLE", "/nowhere/authority.pem"]);
}

#[test]
fn a_proxy_of_the_environment_is_used_and_hosts_of_no_proxy_are_reached_directly() {
    let (scratch, server) = (Scratch::new(), S3Server::start());
    let proxy = format!("http://{}", server.authority());
    let proxied = checkout(&scratch, &[KEYS[0], KEYS[1], ("HTTP_PROXY", &proxy)]);
    set_up(&proxied, &format!("http://{UNKNOWN_HOST}"), &[]).ok();
    run(&proxied).ok();
    assert!(server.log().iter().all(|logged| logged.header("host") == Some(UNKNOWN_HOST)));

    // Nobody listens there: who asked the proxy would fail.
    let dead = "http://127.0.0.1:1";
    let direct = checkout(&scratch, &[KEYS[0], KEYS[1], ("HTTP_PROXY", dead), ("NO_PROXY", "127.0.0.1")]);
    set_up(&direct, &server.endpoint(), &["prefix=direct"]).ok();
    run(&direct).ok();
}

#[test]
fn a_store_behind_tls_is_reached_through_a_tunnel_of_the_proxy() {
    let (scratch, server) = (Scratch::new(), S3Server::start_with_tls());
    let authority = scratch.path().join("authority.pem");
    std::fs::write(&authority, AUTHORITY).unwrap();
    let (proxy, asked) = tunnel_to(server.authority());
    let trusted = ("AWS_CA_BUNDLE", authority.to_str().unwrap());
    let proxied = checkout(&scratch, &[KEYS[0], KEYS[1], trusted, ("HTTPS_PROXY", &proxy)]);
    set_up(&proxied, &format!("https://{UNKNOWN_HOST}"), &[]).ok();
    run(&proxied).ok();
    let asked = asked.lock().unwrap();
    let wanted = format!("CONNECT {UNKNOWN_HOST}:443 ");
    assert!(!asked.is_empty() && asked.iter().all(|line| line.starts_with(&wanted)), "{asked:?}");
}

#[test]
fn credentials_and_region_come_from_a_named_profile_and_its_process() {
    let (scratch, server) = (Scratch::new(), S3Server::start());
    server.habits(|habits| habits.region = Some("eu-north-1"));
    let config = scratch.path().join("config");
    let process = scratch.path().join("credentials.sh");
    let answer = format!(
        r#"{{"Version": 1, "AccessKeyId": "{ACCESS_KEY}", "SecretAccessKey": "{SECRET_KEY}", "SessionToken": "passing"}}"#
    );
    std::fs::write(&process, format!("cat <<'E'\n{answer}\nE\n")).unwrap();
    let text = format!("[profile team]\nregion = eu-north-1\ncredential_process = sh {}\n", process.display());
    std::fs::write(&config, text).unwrap();
    let nobody = ("AWS_EC2_METADATA_DISABLED", "true");
    let member = checkout(&scratch, &[("AWS_CONFIG_FILE", config.to_str().unwrap()), nobody]);
    set_up(&member, &server.endpoint(), &["profile=team"]).ok();
    run(&member).ok();
    let log = server.log();
    assert!(log.iter().all(|logged| logged.header("x-amz-security-token") == Some("passing")));
    assert!(log.iter().all(|logged| logged.header("authorization").unwrap().contains("/eu-north-1/s3/")));
    // What the process said is for requests alone.
    for text in [member.read("peat.yaml"), member.peat(&["datastore", "status", "-vv"]).ok().to_string()] {
        assert!(!text.contains("passing") && !text.contains(SECRET_KEY), "{text}");
    }
}

#[test]
fn a_region_that_is_not_the_buckets_is_named_with_the_right_one() {
    let (scratch, server) = (Scratch::new(), S3Server::start());
    server.habits(|habits| habits.region = Some("eu-north-1"));
    let member = checkout(&scratch, &[KEYS[0], KEYS[1], ("AWS_REGION", REGION)]);
    set_up(&member, &server.endpoint(), &[]).ended_with(2).says(&["eu-north-1", "region"]);
    set_up(&member, &server.endpoint(), &["region=eu-north-1"]).ok();
}

#[test]
fn buckets_are_in_the_path_of_an_endpoint_unless_they_are_wanted_in_the_host() {
    let (scratch, server) = (Scratch::new(), S3Server::start());
    let proxy = format!("http://{}", server.authority());
    let member = checkout(&scratch, &[KEYS[0], KEYS[1], ("HTTP_PROXY", &proxy)]);
    // The server knows paths alone, and so refuses; the host that it was asked for is the bucket's own.
    let outcome = set_up(&member, &format!("http://{UNKNOWN_HOST}"), &["pathStyle=false"]);
    assert_ne!(outcome.code, Some(0), "{outcome}");
    let host = format!("{BUCKET}.{UNKNOWN_HOST}");
    let log = server.log();
    assert!(!log.is_empty() && log.iter().all(|logged| logged.header("host") == Some(host.as_str())), "{log:?}");
}

/// A proxy that tunnels to `target` whatever it is asked for, and what it was asked. It ends with the test.
fn tunnel_to(target: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (target, seen) = (target.clone(), Arc::clone(&seen));
            thread::spawn(move || {
                // A client that breaks off ends its tunnel.
                let _ = tunnel(client, &target, &seen);
            });
        }
    });
    (url, asked)
}

fn tunnel(mut client: TcpStream, target: &str, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    seen.lock().unwrap().push(request.lines().next().unwrap_or_default().to_owned());
    let mut server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        let copied = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
        copied
    });
    io::copy(&mut client, &mut server)?;
    server.shutdown(Shutdown::Write)?;
    back.join().map_or(Ok(()), |copied| copied.map(drop))
}
